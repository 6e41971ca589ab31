"""How old is the picture when its answer is published, and does anything wait for the model? Beside a baseline.

    .venv/bin/python tools/bench_node.py [--frames DIR] [--out docs/results/node_latency.json]

A camera process publishes 640x480 frames at 30 Hz; a node process has a model that takes 0.5 s (scripted: 0.1 s to
encode, 0.4 s to write); this process asks, calls and measures. The baseline is the usual node that runs its model in
the image callback, with a queue of 10 reliable or of 1 best-effort images; it exists in this file only.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nav_vlm_node import results

ROOT = Path(__file__).resolve().parents[1]
RATE = 30.0  # frames per second
ANSWER = "Caution, chair ahead at 1 metre. Turn left 35 degrees, then move 4 metres to the door."
ENCODE, TOKENS = 0.1, len(ANSWER.split())
KINDS = {
    "node": "the node of this package",
    "baseline_callback_depth_10": "baseline: model in the image callback, 10 images queued, reliable",
    "baseline_callback_depth_1": "baseline: model in the image callback, 1 image queued, best effort",
}


def main() -> int:
    """Measure every kind of node one after the other; print the JSON object, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=Path, metavar="DIR", help="recorded pictures (default: drawn ones)")
    parser.add_argument("--questions", type=int, default=40, help="questions per node (default: %(default)s)")
    parser.add_argument("--model-time", type=float, default=0.5, help="seconds per answer (default: %(default)s)")
    parser.add_argument("--domain", type=int, default=87, help="ROS domain (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    parser.add_argument("--role", choices=("measure", "camera", *KINDS), default="measure", help=argparse.SUPPRESS)
    args = parser.parse_args()
    os.environ.update(ROS_DOMAIN_ID=str(args.domain), ROS_AUTOMATIC_DISCOVERY_RANGE="LOCALHOST")
    from nav_vlm_node.ros.middleware import allow_large_images

    allow_large_images()
    if args.role == "camera":
        return camera(args.frames)
    if args.role == "node":
        return guide_node(args.model_time)
    if args.role != "measure":
        return baseline_node(10 if args.role.endswith("10") else 1, args.model_time)
    pictures(args.frames)  # a folder without pictures is told before anything is started
    record, load = results.record(results.command_line("tools/bench_node.py", sys.argv[1:])), os.getloadavg()[0]
    model_time = measured_model_time(args.model_time)
    measured = {kind: measure(kind, args) for kind in KINDS}
    limit = model_time["p50"] + 1 / RATE
    report = {
        "what": "image age at publish and latency of calls while the model is busy, 30 Hz camera",
        **record,
        "load_1min": load,
        "frames": "recorded" if args.frames else "drawn",
        "rate_hz": RATE,
        "model_time_nominal_s": args.model_time,
        "model_time_s": model_time,
        "limit_s": round(limit, 4),
        "image_age_p95_within_limit": measured["node"]["image_age_s"]["p95"] <= limit,
        "image_age_max_within_limit": measured["node"]["image_age_s"]["max"] <= limit,
        "nodes": measured,
    }
    print(json.dumps(report, indent=1, allow_nan=False))
    if args.out is not None:
        results.write(args.out, report)
    return 0


def measure(kind: str, args: argparse.Namespace) -> dict[str, Any]:
    """One node with its camera, from start to end."""
    processes = [start(role, args) for role in ("camera", kind)]
    try:
        return Client(kind).run(args.questions)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:  # seen once: Fast DDS waiting for itself at the end of the baseline
                process.kill()
                process.wait()


def start(role: str, args: argparse.Namespace) -> subprocess.Popen[bytes]:
    """This file in another process."""
    command = [sys.executable, __file__, "--role", role, "--domain", str(args.domain)]
    command += ["--model-time", str(args.model_time)]
    return subprocess.Popen(command + (["--frames", str(args.frames)] if args.frames else []))


class Client:
    """Asks, calls, cancels, and keeps the times."""

    def __init__(self, kind: str) -> None:
        import rclpy
        from rcl_interfaces.srv import GetParameters

        from nav_vlm_msgs.msg import Instruction, Query
        from nav_vlm_node.ros import qos
        from nav_vlm_node.ros.run import Spinner

        self.kind = kind
        rclpy.init()
        self.node = rclpy.create_node("client")
        self._changed = threading.Condition()
        self._heard: dict[str, Any] = {}
        self.node.create_subscription(Instruction, "instruction", self._hear, qos.ANSWER)
        self.queries = self.node.create_publisher(Query, "query", qos.QUESTION)
        self.parameters = self.node.create_client(GetParameters, "nav_vlm/get_parameters")
        self.spinner = Spinner()
        self.spinner.add(self.node)

    def run(self, questions: int) -> dict[str, Any]:
        """The figures of one node."""
        import rclpy

        self._wait(lambda: self.queries.get_subscription_count() and self.parameters.service_is_ready(), 120)
        self._warm_up()
        try:
            ages, latencies, calls = zip(*(self._question(f"q{number}") for number in range(questions)), strict=True)
            cancels = [self._cancel() for _ in range(max(5, questions // 4))]
        finally:
            self.spinner.close()
            rclpy.shutdown()
        return {
            "what": KINDS[self.kind],
            "image_age_s": summary(ages),
            "latency_s": summary(latencies),
            "get_parameters_while_busy_s": summary(calls),
            "cancel_while_busy_s": summary(cancels),
        }

    def _warm_up(self) -> None:
        """Until the node is active and the camera sends."""
        for attempt in range(600):
            if self._ask(f"warm-up {attempt}").status == 0:
                return
            time.sleep(0.2)
        raise SystemExit("bench_node: error: the node gives no answer; run it with --role node to see why")

    def _question(self, query_id: str) -> tuple[float, float, float]:
        """(image age, latency, latency of a call meanwhile) of one question, all in seconds."""
        from rcl_interfaces.srv import GetParameters

        self._send(query_id)
        time.sleep(0.15)  # the model is at work
        started = time.monotonic()
        self._result(self.parameters.call_async(GetParameters.Request(names=["use_sim_time"])))
        call = time.monotonic() - started
        answer = self._answer(query_id)
        time.sleep(0.07 * (hash(query_id) % 10) / 10)  # at any phase of the camera
        return answer.image_age, answer.latency, call

    def _cancel(self) -> float:
        """Seconds from a cancel to its response, while the model writes."""
        if self.kind != "node":
            from std_srvs.srv import Trigger

            client = self.node.create_client(Trigger, "cancel")
            self._wait(client.service_is_ready, 20)
            self._send(query_id := f"canceled {time.monotonic()}")
            time.sleep(0.2)
            started = time.monotonic()
            self._result(client.call_async(Trigger.Request()))
            seconds = time.monotonic() - started
            self._answer(query_id)
            return seconds
        from rclpy.action.client import ActionClient

        from nav_vlm_msgs.action import Guide
        from nav_vlm_msgs.msg import Query

        action = ActionClient(self.node, Guide, "guide")
        self._wait(action.server_is_ready, 20)
        wanted = Guide.Goal(query=Query(text="Where is the door?"))
        goal = self._asked(lambda: action.send_goal_async(wanted))
        time.sleep(0.2)
        started = time.monotonic()
        self._asked(goal.cancel_goal_async)
        self._asked(goal.get_result_async)
        seconds = time.monotonic() - started
        action.destroy()
        return seconds

    def _ask(self, query_id: str) -> Any:
        self._send(query_id)
        return self._answer(query_id)

    def _send(self, query_id: str) -> None:
        from nav_vlm_msgs.msg import Query

        self.queries.publish(Query(id=query_id, text="Where is the door?"))

    def _answer(self, query_id: str) -> Any:
        self._wait(lambda: query_id in self._heard, 60)
        return self._heard[query_id]

    def _asked(self, ask: Callable[[], Any]) -> Any:
        """As `_result`, for the action client, which must not be asked while another thread takes its answers."""
        from nav_vlm_node.ros.futures import on_executor

        return self._result(self._result(on_executor(self.node, ask)))

    def _result(self, future: Any) -> Any:
        future.add_done_callback(lambda _: self._notify())
        self._wait(future.done, 60)
        return future.result()

    def _hear(self, message: Any) -> None:
        self._heard[message.query_id] = message
        self._notify()

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _wait(self, condition: Callable[[], object], seconds: float) -> None:
        end = time.monotonic() + seconds
        with self._changed:
            while not condition():
                if time.monotonic() > end:
                    raise SystemExit(f"bench_node: error: nothing came within {seconds:g} s")
                self._changed.wait(0.05)


def camera(folder: Path | None) -> int:
    """Publishes frames at 30 Hz, stamped when they are published."""
    import rclpy
    from rclpy.executors import ExternalShutdownException
    from sensor_msgs.msg import Image

    rclpy.init()
    node = rclpy.create_node("camera")
    publisher = node.create_publisher(Image, "image", 10)
    messages = []
    for picture in pictures(folder):
        height, width = picture.shape[:2]
        message = Image(height=height, width=width, encoding="rgb8", step=3 * width, data=picture.tobytes())
        message.header.frame_id = "camera"
        messages.append(message)

    def publish() -> None:
        message = messages[int(time.monotonic() * RATE) % len(messages)]
        message.header.stamp = node.get_clock().now().to_msg()
        publisher.publish(message)

    node.create_timer(1 / RATE, publish)
    with contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(node)
    node.destroy_node()
    return 0


def pictures(folder: Path | None) -> list[npt.NDArray[np.uint8]]:
    """Up to 30 pictures as uint8 [480, 640, 3]."""
    import cv2

    from nav_vlm_node.frames import decode_compressed

    if folder is None:
        noise = np.random.default_rng(0).integers(40, 220, (12, 16, 3), np.uint8)
        drawn = np.kron(noise, np.ones((40, 40, 1), np.uint8)).astype(np.uint8)
        return [np.roll(drawn, 8 * shift, axis=1) for shift in range(30)]
    paths = sorted(path for path in folder.rglob("*") if path.suffix in (".png", ".jpg"))[:30]
    if not paths:
        raise SystemExit(f"bench_node: error: no png or jpg in {folder}")
    return [np.asarray(cv2.resize(decode_compressed(path.read_bytes()), (640, 480)), np.uint8) for path in paths]


def scripted_engine(model_time: float) -> Any:
    """The scripted model in a process of its own."""
    from nav_vlm_node.vlm.supervised import SupervisedEngine

    arguments = {"answers": ANSWER, "encode_delay": ENCODE, "delay": (model_time - ENCODE) / TOKENS}
    return SupervisedEngine.from_factory("nav_vlm_node.vlm.scripted:scripted_engine", arguments)


def measured_model_time(model_time: float) -> dict[str, float]:
    """Seconds that the engine itself takes for one answer, without any node."""
    engine = scripted_engine(model_time)
    view, seconds = engine.info.view, []
    for _ in range(10):
        started = time.monotonic()
        visual = engine.encode(np.zeros((view.height, view.width, 3), np.uint8))
        for _token in engine.stream(visual, "Where is the door?"):
            pass
        seconds.append(time.monotonic() - started)
    engine.close()
    return summary(seconds)


def guide_node(model_time: float) -> int:
    """The node of this package."""
    from nav_vlm_node.ros.node import GuideNode
    from nav_vlm_node.ros.run import run_nodes

    return run_nodes(lambda: [GuideNode(engine_factory=lambda values: scripted_engine(model_time))])


def baseline_node(depth: int, model_time: float) -> int:
    """What most nodes do: the model runs in the image callback, on the executor."""
    import rclpy
    from rclpy.executors import ExternalShutdownException
    from rclpy.qos import QoSProfile, ReliabilityPolicy
    from sensor_msgs.msg import Image
    from std_srvs.srv import Trigger

    from nav_vlm_msgs.msg import Instruction, Query
    from nav_vlm_node.ros import qos
    from nav_vlm_node.ros.conversions import stamp_from_ros
    from nav_vlm_node.ros.images import image_from_ros

    rclpy.init()
    node = rclpy.create_node("nav_vlm")
    publisher = node.create_publisher(Instruction, "instruction", qos.ANSWER)
    open_questions: list[tuple[str, float]] = []

    def on_query(message: Query) -> None:
        open_questions.append((message.id, time.monotonic()))

    def on_image(message: Image) -> None:
        if not open_questions:
            return
        query_id, asked = open_questions.pop(0)
        image_from_ros(message)
        time.sleep(model_time)
        age = node.get_clock().now().nanoseconds * 1e-9 - stamp_from_ros(message.header.stamp)
        publisher.publish(
            Instruction(
                query_id=query_id, text=ANSWER, image_age=age, latency=time.monotonic() - asked, header=message.header
            )
        )

    def on_cancel(request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = True
        return response

    reliability = ReliabilityPolicy.RELIABLE if depth > 1 else ReliabilityPolicy.BEST_EFFORT
    node.create_subscription(Image, "image", on_image, QoSProfile(depth=depth, reliability=reliability))
    node.create_subscription(Query, "query", on_query, qos.QUESTION)
    node.create_service(Trigger, "cancel", on_cancel)
    with contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(node)
    node.destroy_node()
    return 0


def summary(values: Sequence[float]) -> dict[str, float]:
    """p50, p95 and max, rounded to 0.1 ms, of n values."""
    ordered = np.asarray(values, float)
    found = {"p50": np.percentile(ordered, 50), "p95": np.percentile(ordered, 95), "max": ordered.max()}
    return {**{name: round(float(value), 4) for name, value in found.items()}, "n": len(ordered)}


if __name__ == "__main__":
    sys.exit(main())
