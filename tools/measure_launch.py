#!/usr/bin/env python3
"""Start nav_vlm in every way that it can be started, ask it, stop it, and write down what was seen.

    cd ros2_ws && colcon build && . install/setup.bash && cd ..
    python3 tools/measure_launch.py --model DIR --out docs/results/launch_run.json

Needs ROS 2 with its launch tools and a sourced workspace. The simulated camera shows the scene; any model will do.
Each scenario has a ROS domain of its own.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import rclpy
from lifecycle_msgs.srv import GetState
from rclpy.executors import SingleThreadedExecutor
from std_msgs.msg import String

from nav_vlm_msgs.msg import Instruction
from nav_vlm_node import results
from nav_vlm_node.instruction import Status

QUESTIONS = ("How do I get to the door?", "Is anything in my way?")
LOADING = 300.0  # seconds
CAMERA = "ros2 run nav_vlm_sim sim_camera_node"
_domains = itertools.count(60)


class Started:
    """A command and all that it starts, in a session of its own."""

    def __init__(self, command: str, log: Path) -> None:
        self.command = command
        with log.open("a") as file:
            self.process = subprocess.Popen(
                shlex.split(command), stdout=file, stderr=subprocess.STDOUT, start_new_session=True
            )

    def alive(self) -> list[int]:
        """The ids of its living processes."""
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                state, _, _, session = stat.read_text().rsplit(")", 1)[1].split()[:4]
            except OSError:
                continue
            if int(session) == self.process.pid and state != "Z":
                found.append(int(stat.parent.name))
        return found

    def find(self, word: str) -> int:
        """The id of its process with `word` in the command line."""
        for pid in self.alive():
            if word in Path(f"/proc/{pid}/cmdline").read_text():
                return pid
        raise LookupError(word)

    def stop(self, everyone: bool = True) -> dict[str, Any]:
        """SIGINT to every process (Ctrl-C in a terminal) or to the first; what came of it."""
        before, start = len(self.alive()), time.monotonic()
        if everyone:
            os.killpg(self.process.pid, signal.SIGINT)
        else:
            self.process.send_signal(signal.SIGINT)
        try:
            status: int | str = self.process.wait(60)
        except subprocess.TimeoutExpired:
            status = "still running after 60 s"
        seen = {
            "sigint_to": "all processes, as Ctrl-C" if everyone else "the first process alone",
            "processes": before,
            "exit_status": status,
            "shutdown_s": round(time.monotonic() - start, 2),
        }
        time.sleep(0.5)  # a process that has been told needs a moment to be gone
        seen["left_behind"] = len(self.alive())
        if seen["left_behind"]:
            os.killpg(self.process.pid, signal.SIGKILL)
        return seen


class Probe:
    """A client on the graph of one scenario."""

    def __init__(self) -> None:
        rclpy.init()
        self.node = rclpy.create_node("probe")
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self.heard: list[Instruction] = []
        self.node.create_subscription(Instruction, "instruction", self.heard.append, 10)
        self.questions = self.node.create_publisher(String, "query_text", 10)
        self.states = self.node.create_client(GetState, "nav_vlm/get_state")

    def close(self) -> None:
        """Leave the graph."""
        self.executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown()

    def until(self, condition: Callable[[], bool], patience: float, started: Started) -> float:
        """Seconds until `condition()`; RuntimeError when it takes longer than `patience` or the command has ended."""
        start = time.monotonic()
        while not condition():
            if started.process.poll() is not None:
                raise RuntimeError(f"{started.command} ended with {started.process.returncode}")
            if time.monotonic() - start > patience:
                raise RuntimeError(f"{started.command}: nothing after {patience:g} s")
            self.executor.spin_once(timeout_sec=0.05)
        return round(time.monotonic() - start, 2)

    def state(self) -> str:
        """The lifecycle state of nav_vlm, "" while it is not there."""
        if not self.states.service_is_ready():
            return ""
        future = self.states.call_async(GetState.Request())
        self.executor.spin_until_future_complete(future, timeout_sec=2.0)
        return str(future.result().current_state.label) if future.done() else ""

    def ask(self, question: str, started: Started) -> dict[str, Any]:
        """One question by topic, its answer, and how long that took."""
        self.until(lambda: self.questions.get_subscription_count() > 0, 30, started)
        count = len(self.heard)
        self.questions.publish(String(data=question))
        seconds = self.until(lambda: len(self.heard) > count, 60, started)
        answer = self.heard[-1]
        return {
            "query": answer.query,
            "status": Status(answer.status).name,
            "text": answer.text,
            "model": answer.model,
            "adapter": answer.adapter,
            "frame_id": answer.header.frame_id,
            "image_age_s": round(answer.image_age, 3),
            "round_trip_s": seconds,
        }


@contextmanager
def scenario(log: Path) -> Iterator[Probe]:
    """A probe in a domain of its own."""
    os.environ["ROS_DOMAIN_ID"] = str(next(_domains))
    print(f"domain {os.environ['ROS_DOMAIN_ID']}", file=log.open("a"))
    probe = Probe()
    try:
        yield probe
    finally:
        probe.close()


def answered(log: Path, command: str, beside: tuple[str, ...] = (CAMERA,), everyone: bool = True) -> dict[str, Any]:
    """Start, wait until active, ask, stop."""
    with scenario(log) as probe:
        others = [Started(other, log) for other in beside]
        started = Started(command, log)
        seen: dict[str, Any] = {"command": command, "beside": list(beside)}
        try:
            seen["active_after_s"] = probe.until(lambda: probe.state() == "active", LOADING, started)
            seen["answers"] = [probe.ask(question, started) for question in QUESTIONS]
        finally:
            seen |= started.stop(everyone)
            seen["beside_left_behind"] = sum(other.stop()["left_behind"] for other in others)
    return seen


def interrupted(log: Path, command: str) -> dict[str, Any]:
    """Stop as soon as the node is seen, while the model is being loaded if that takes a moment; `state` says."""
    with scenario(log) as probe:
        started = Started(command, log)
        seen: dict[str, Any] = {"command": command}
        try:
            seen["seen_after_s"] = probe.until(lambda: bool(probe.state()), LOADING, started)
            seen["state"] = probe.state()
        finally:
            seen |= started.stop()
    return seen


def respawned(log: Path, command: str) -> dict[str, Any]:
    """Kill the node; the launch starts it again, and the model's process of the killed one is gone."""
    with scenario(log) as probe:
        started = Started(command, log)
        seen: dict[str, Any] = {"command": command, "then": "SIGKILL to guide_node"}
        try:
            seen["active_after_s"] = probe.until(lambda: probe.state() == "active", LOADING, started)
            before = set(started.alive())
            guide = started.find("guide_node")
            os.kill(guide, signal.SIGKILL)
            start = time.monotonic()
            gone = before - {started.process.pid}
            probe.until(lambda: not gone & set(started.alive()), 30, started)
            seen["its_processes_gone_after_s"] = round(time.monotonic() - start, 2)
            probe.until(lambda: probe.state() == "active", LOADING, started)
            seen["active_again_after_s"] = round(time.monotonic() - start, 2)
        finally:
            seen |= started.stop()
    return seen


def refused(log: Path, command: str) -> dict[str, Any]:
    """A bad argument: the line and the status."""
    done = subprocess.run(shlex.split(command), capture_output=True, text=True, timeout=120)
    lines = [line for line in (done.stdout + done.stderr).splitlines() if "error" in line.lower()]
    return {"command": command, "exit_status": done.returncode, "said": lines}


def main() -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(description="Start nav_vlm in every way, ask it, stop it.")
    parser.add_argument("--model", required=True, type=Path, help="model directory")
    parser.add_argument("--note", default="", help="what a reader should know of the machine or the model")
    parser.add_argument("--out", required=True, type=Path, help="JSON file")
    args = parser.parse_args()
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    log = Path(tempfile.mkdtemp(prefix="measure_launch_")) / "log"
    print(f"log: {log}", file=sys.stderr)
    bringup = f"ros2 launch nav_vlm bringup.launch.py model:={args.model}"
    raw = "camera/camera/color"
    d435i = f"{CAMERA} --ros-args -r image:={raw}/image_raw -r camera_info:={raw}/camera_info"
    steps: dict[str, Callable[[], dict[str, Any]]] = {
        "bringup": lambda: answered(log, f"{bringup} rig:=sim"),
        "bringup_sigint_to_launch_alone": lambda: answered(log, f"{bringup} rig:=sim", everyone=False),
        "interrupted_while_loading": lambda: interrupted(log, bringup),
        "gpu_elsewhere": lambda: answered(
            log,
            f"{bringup} rig:=d435i role:=gpu",
            ("ros2 launch nav_vlm bringup.launch.py rig:=d435i role:=wearer", d435i),
        ),
        "sim": lambda: answered(log, f"ros2 launch nav_vlm sim.launch.py model:={args.model}", ()),
        "respawn": lambda: respawned(log, f"{bringup} respawn:=true"),
        "up": lambda: answered(log, f"nav-vlm up model:={args.model} rig:=sim"),
        "bad_rig": lambda: refused(log, f"{bringup} rig:=gopro"),
    }
    packages = ("launch", "launch_ros", "ros2launch", "rclpy", *results.PACKAGES)
    result = results.record(
        results.command_line("tools/measure_launch.py", ["--model", str(args.model), "--out", str(args.out)]),
        packages=[name for name in packages if _installed(name)],
    )
    if args.note:
        result["note"] = args.note
    for name, step in steps.items():
        print(f"{name} ...", file=sys.stderr)
        result[name] = step()
    text = _without(result, str(args.model.parent) + os.sep)
    results.write(args.out, text)
    return 0


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _without(value: Any, folder: str) -> Any:
    """`value` with the path of one machine cut from its strings."""
    if isinstance(value, dict):
        return {key: _without(item, folder) for key, item in value.items()}
    if isinstance(value, list):
        return [_without(item, folder) for item in value]
    return value.replace(folder, "") if isinstance(value, str) else value


if __name__ == "__main__":
    sys.exit(main())
