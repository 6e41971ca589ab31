"""The demo's ROS 2 side: the camera node and the guide node as processes of their own, and a client that asks."""

from __future__ import annotations

import json
import math
import os
import queue
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rcl_interfaces.srv import SetParametersAtomically
from rclpy.action.client import ActionClient
from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import String

from nav_vlm_msgs.action import Guide
from nav_vlm_msgs.msg import Instruction as InstructionMsg
from nav_vlm_msgs.msg import Query
from nav_vlm_node.ros import qos
from nav_vlm_node.ros.conversions import instruction_from_ros, stamp_from_ros
from nav_vlm_node.ros.futures import on_executor
from nav_vlm_node.ros.run import Spinner
from nav_vlm_sim.demo.records import By, Reply
from nav_vlm_sim.ros.camera_node import TRUTH
from nav_vlm_sim.ros.own_processes import (
    STOP_PATIENCE,
    OwnProcess,
    SystemFailure,
    Value,
    enter_domain,
    free_domain,
)

START_PATIENCE = 300.0  # seconds for the model to load, on the slowest machine
SHOW_PATIENCE = 60.0  # seconds for a scene to be drawn
ANSWER_PATIENCE = 60.0  # seconds; longer than any deadline of the node
TRAILING = 0.2  # seconds after an answer for its last feedback to arrive


@dataclass(frozen=True, kw_only=True)
class Ready:
    """What the node says of itself when it is ready."""

    model: str
    adapter: str
    device: str
    seconds: float  # since the processes were started


@dataclass
class _Heard:
    """What the client has received; written by the executor's threads, under the lock."""

    camera_stamp: float = -math.inf
    truth: dict[str, Any] = field(default_factory=dict)
    parts: dict[str, DiagnosticStatus] = field(default_factory=dict)


class System:
    """Camera, guide and client on a ROS 2 domain of their own. Close it, or use it as a context manager.

    camera, guide: parameters of the nodes `sim_camera` and `nav_vlm`. domain: None for one that nobody uses.
    """

    def __init__(self, camera: Mapping[str, Value], guide: Mapping[str, Value], domain: int | None = None) -> None:
        self._claim: socket.socket | None = None
        if domain is None:
            self._claim, domain = free_domain()
        self.domain = domain
        self.started = time.monotonic()
        self._folder = Path(tempfile.mkdtemp(prefix="nav_vlm_demo_"))
        enter_domain(self.domain, self._folder)
        self._processes = [
            OwnProcess("nav_vlm", "nav_vlm_node.ros.node", guide, self._folder),
            OwnProcess("sim_camera", "nav_vlm_sim.ros.camera_node", camera, self._folder),
        ]
        self._heard = _Heard()
        self._changed = threading.Condition()
        self._asked = 0
        self._answers: dict[str, queue.SimpleQueue[tuple[str, float, Any]]] = {}
        self._context = Context()
        rclpy.init(context=self._context, domain_id=self.domain, signal_handler_options=SignalHandlerOptions.NO)
        self._spinner = Spinner(self._context)
        self._node = Node("demo", context=self._context)
        self._action = ActionClient(self._node, Guide, "guide")
        self._queries = self._node.create_publisher(Query, "query", qos.QUESTION)
        self._show = self._node.create_client(SetParametersAtomically, "sim_camera/set_parameters_atomically")
        # Not by the action client's callback: rclpy drops feedback that arrives after the result.
        feedback, topic = Guide.Impl.FeedbackMessage, "guide/_action/feedback"
        self._node.create_subscription(feedback, topic, self._on_feedback, QoSProfile(depth=200))
        self._node.create_subscription(InstructionMsg, "instruction", self._on_instruction, qos.ANSWER)
        self._node.create_subscription(CameraInfo, "camera_info", self._on_camera_info, qos.CAMERA)
        self._node.create_subscription(String, "truth", self._on_truth, TRUTH)
        self._node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, qos.DIAGNOSTICS)
        self._spinner.add(self._node)

    def __enter__(self) -> System:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End everything, in order. Idempotent."""
        for process in self._processes:
            process.release()
        if self._context.ok():
            self._action.destroy()
            self._spinner.close()
            rclpy.shutdown(context=self._context)
        until = time.monotonic() + STOP_PATIENCE
        for process in self._processes:
            process.wait(until)
        self._processes = []
        if self._claim is not None:
            self._claim.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def wait_ready(self) -> Ready:
        """Wait until the model is loaded, pictures arrive, and the client sees everything. Raises SystemFailure."""
        self._until(self._is_ready, START_PATIENCE, "the model to load")
        values = {pair.key: pair.value for pair in self._heard.parts["model"].values}
        adapter = "" if values["adapter"] == "(base)" else values["adapter"]
        seconds = time.monotonic() - self.started
        return Ready(model=values["model"], adapter=adapter, device=values["device"], seconds=seconds)

    def engine_pid(self) -> int:
        """The process that the model runs in, by the node's diagnostics. Raises SystemFailure where there is none."""

        def pid() -> str:
            part = self._heard.parts.get("engine process")
            return next((pair.value for pair in part.values if pair.key == "pid"), "") if part else ""

        self._until(lambda: bool(pid()), START_PATIENCE, "the engine process")
        return int(pid())

    def show(self, scene: int, view: int) -> float:
        """Have the camera look from there; returns the stamp of the first image that does. Raises SystemFailure."""
        values = [Parameter("seed", value=scene), Parameter("view", value=view)]
        request = SetParametersAtomically.Request(parameters=[value.to_parameter_msg() for value in values])
        done = self._show.call_async(request)
        done.add_done_callback(lambda _: self._notify())
        self._until(done.done, SHOW_PATIENCE, "the camera node to take a parameter")
        if not done.result().result.successful:
            raise SystemFailure(f"the camera node refused the scene: {done.result().result.reason}")

        def shown() -> bool:
            truth = self._heard.truth
            return (truth.get("scene"), truth.get("view")) == (scene, view)

        self._until(shown, SHOW_PATIENCE, "the scene to be drawn")
        stamp = float(self._heard.truth["stamp"])
        # One image more than the first: by then the guide has the scene too.
        self._until(lambda: self._heard.camera_stamp > stamp, SHOW_PATIENCE, "the camera")
        return stamp

    def ask(self, text: str, by: By, on_text: Callable[[str], None] = lambda text: None) -> Reply:
        """Ask and wait for the answer. on_text: gets the unchecked text as it grows, on this thread."""
        self._asked += 1
        query = Query(id=f"demo-{os.getpid()}-{self._asked}", text=text)
        answers = self._answers[query.id] = queue.SimpleQueue()
        start = time.monotonic()
        if by == "action":
            self._send_goal(query, answers)
        else:
            self._queries.publish(query)
        pieces: list[tuple[float, str]] = []
        released: tuple[str, ...] = ()
        reply: Reply | None = None
        until, complete = start + ANSWER_PATIENCE, by == "topic"
        while reply is None or not complete:
            what, at, value = self._next(answers, until)
            if what == "timeout":
                break
            if what == "feedback":
                released = tuple(value.released)
                complete = value.stage == Guide.Feedback.STAGE_CHECKING
                if value.text and (not pieces or value.text != pieces[-1][1]):
                    pieces.append((at - start, value.text))
                    on_text(value.text)
            elif what == by:  # by action, the topic's copy of the answer is not waited for
                reply = Reply(instruction=None if value is None else instruction_from_ros(value), total=at - start)
                until = at + TRAILING  # feedback and result go different ways: the last of one may come after the other
        del self._answers[query.id]
        return replace(reply or Reply(instruction=None), pieces=tuple(pieces), released=released)

    # ---- how --------------------------------------------------------------------------------------

    def _is_ready(self) -> bool:
        parts = self._heard.parts
        model, image = parts.get("model"), parts.get("image")
        if model is not None and model.level == DiagnosticStatus.ERROR:
            raise SystemFailure(f"the node did not get ready: {model.message}")
        ready = model is not None and model.level == DiagnosticStatus.OK
        seeing = image is not None and image.level == DiagnosticStatus.OK
        asking = self._action.server_is_ready() and self._show.service_is_ready()
        listening = self._queries.get_subscription_count() > 0 and self._node.count_publishers("instruction") > 0
        return ready and seeing and asking and listening

    def _send_goal(self, query: Query, answers: queue.SimpleQueue[tuple[str, float, Any]]) -> None:
        def on_accepted(future: Any) -> None:
            goal = future.result()
            if not goal.accepted:
                answers.put(("action", time.monotonic(), None))
                return
            goal.get_result_async().add_done_callback(on_result)

        def on_result(future: Any) -> None:
            answers.put(("action", time.monotonic(), future.result().result.instruction))

        def send() -> None:
            self._action.send_goal_async(Guide.Goal(query=query)).add_done_callback(on_accepted)

        on_executor(self._node, send)

    def _next(self, answers: queue.SimpleQueue[tuple[str, float, Any]], until: float) -> tuple[str, float, Any]:
        while time.monotonic() < until:
            try:
                return answers.get(timeout=0.2)
            except queue.Empty:
                for process in self._processes:
                    process.check()
        return "timeout", time.monotonic(), None

    def _until(self, condition: Callable[[], bool], patience: float, what: str) -> None:
        """Wait until `condition()`; discovery has no callback, so it is looked at a few times a second besides."""
        until = time.monotonic() + patience
        with self._changed:
            while not condition():
                for process in self._processes:
                    process.check()
                if time.monotonic() > until:
                    last = "; ".join(f"{process.name}: {process.last_words()}" for process in self._processes)
                    raise SystemFailure(f"waited {patience:.0f} s for {what}; {last}")
                self._changed.wait(0.1)

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _on_feedback(self, message: Any) -> None:
        answers = self._answers.get(message.feedback.query_id)
        if answers is not None:
            answers.put(("feedback", time.monotonic(), message.feedback))

    def _on_instruction(self, message: InstructionMsg) -> None:
        answers = self._answers.get(message.query_id)
        if answers is not None:
            answers.put(("topic", time.monotonic(), message))

    def _on_camera_info(self, message: CameraInfo) -> None:
        with self._changed:
            self._heard.camera_stamp = stamp_from_ros(message.header.stamp)
            self._changed.notify_all()

    def _on_truth(self, message: String) -> None:
        with self._changed:
            self._heard.truth = json.loads(message.data)
            self._changed.notify_all()

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        with self._changed:
            self._heard.parts.update({part.name.split(": ")[-1]: part for part in message.status})
            self._changed.notify_all()
