"""The node as a process: it ends in order, leaves nothing behind, and says in one line what is wrong with its start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from diagnostic_msgs.msg import DiagnosticArray

from nav_vlm_msgs.msg import Instruction as Msg
from nav_vlm_msgs.msg import Query
from nav_vlm_node.ros import middleware, run
from tests.conftest import Graph
from tests.tiny_models import make_tiny_blip2

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(ros_domain: int) -> Iterator[Start]:
    """Starts the node with ROS arguments, in a session of its own so that what it leaves behind can be seen."""
    started: list[subprocess.Popen[str]] = []

    def start_node(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "nav_vlm_node.ros.node", "--ros-args", *arguments]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        started.append(process)
        return process

    yield start_node
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def session_of(leader: int) -> list[int]:
    """The living processes of the session that `leader` began."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, session = stat.read_text().rsplit(")", 1)[1].split()[:4]
        except OSError:  # it has just ended
            continue
        if int(session) == leader and state != "Z":
            found.append(int(stat.parent.name))
    return found


def statuses(arrays: list[DiagnosticArray]) -> dict[str, str]:
    return {status.name: status.message for status in arrays[-1].status} if arrays else {}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_in_order_and_leaves_no_child(ros: Graph, start: Start, tmp_path: Path, number: signal.Signals) -> None:
    model = make_tiny_blip2(tmp_path / "tiny")
    process = start("-p", f"model:={model}", "-p", "diagnostics_period:=0.1", "-p", "image_timeout:=60.0")
    probe = ros.node("probe")
    arrays = ros.collect(probe, DiagnosticArray, "/diagnostics")
    heard = ros.collect(probe, Msg, "instruction")
    ros.until(lambda: statuses(arrays).get("nav_vlm: model") == "ready", "the model to be loaded", patience=240)
    assert len(session_of(process.pid)) >= 2  # the node and its engine
    queries = probe.create_publisher(Query, "query", 10)
    ros.until(queries.get_subscription_count)
    ros.until(lambda: probe.count_publishers("instruction"))
    queries.publish(Query(id="open", text="Where is the door?"))
    ros.until(lambda: statuses(arrays).get("nav_vlm: answers") == "answering")  # it waits for an image
    process.send_signal(number)
    _, log = process.communicate(timeout=120)
    assert process.returncode == 0, log
    assert "Traceback" not in log
    assert session_of(process.pid) == []
    ros.until(lambda: heard)
    assert [(message.query_id, message.status) for message in heard] == [("open", Msg.STATUS_CANCELED)]


def test_ctrl_c_while_the_model_is_loaded(ros: Graph, start: Start, tmp_path: Path) -> None:
    model = make_tiny_blip2(tmp_path / "tiny")
    process = start("-p", f"model:={model}", "-p", "diagnostics_period:=0.1")
    arrays = ros.collect(ros.node("probe"), DiagnosticArray, "/diagnostics")
    ros.until(lambda: arrays, "the node to be up", patience=240)
    process.send_signal(signal.SIGINT)
    _, log = process.communicate(timeout=120)
    assert process.returncode == 0, log
    assert session_of(process.pid) == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["-p", "bearings:=compass"], "use one of degrees, clock, left_right"),
        (["-p", "max_image_age:=-3.0"], "max_image_age"),
        (["-p", "max_image_age:=soon"], "max_image_age"),
        (["-p", "max_image_age:=5.0"], "max_answer_age (3.0 s) is under max_image_age (5.0 s)"),
    ],
)
def test_a_parameter_that_cannot_be_is_one_line(start: Start, arguments: list[str], says: str) -> None:
    process = start(*arguments)
    _, log = process.communicate(timeout=240)
    assert process.returncode == 2
    lines = [line for line in log.splitlines() if line.strip()]
    assert len(lines) == 1, log
    assert "error: " in lines[0]
    assert says in lines[0]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--params-file", "/nonexistent.yaml"], "--params-file /nonexistent.yaml"),
        (["-p", "foo"], "'-p foo'"),
        (["-r", "bad"], "'-r bad'"),
        (["--log-level", "nonsense"], "--log-level nonsense"),
        (["--nonsense"], "['--nonsense']"),
    ],
)
def test_a_ros_argument_that_cannot_be_is_one_line(
    ros_domain: int, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: list[str], says: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["/opt/guide_node", "--ros-args", *arguments])
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        assert run.main_of(list) == 2
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    log = capfd.readouterr().err
    assert log.startswith("guide_node: error: ")
    assert says in log
    assert log.count("\n") == 1, log


def test_a_model_that_is_not_there_is_one_line_and_the_node_answers_on(ros: Graph, start: Start) -> None:
    process = start("-p", "model:=/nowhere/model", "-p", "diagnostics_period:=0.1")
    probe = ros.node("probe")
    arrays = ros.collect(probe, DiagnosticArray, "/diagnostics")
    heard = ros.collect(probe, Msg, "instruction")
    ros.until(lambda: "/nowhere/model" in statuses(arrays).get("nav_vlm: model", ""), patience=240)
    queries = probe.create_publisher(Query, "query", 10)
    ros.until(queries.get_subscription_count)
    ros.until(lambda: probe.count_publishers("instruction"))
    queries.publish(Query(id="q", text="Where is the door?"))
    (answer,) = ros.until(lambda: list(heard))
    assert answer.status == Msg.STATUS_NOT_READY
    assert "/nowhere/model" in answer.message
    process.send_signal(signal.SIGINT)
    _, log = process.communicate(timeout=120)
    assert process.returncode == 0
    assert "Traceback" not in log
    assert len([line for line in log.splitlines() if "/nowhere/model" in line]) == 1


@pytest.mark.parametrize("domain", ["233", "-1", "home"])
def test_a_domain_that_cannot_be_is_one_line(domain: str, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", domain)
    process = start()
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 2
    assert (output, errors) == ("", f"node.py: error: ROS_DOMAIN_ID is '{domain}': give 0 to 232, or unset it\n")


def test_logs_that_cannot_be_written_are_one_line_with_what_to_do(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a home that is read-only."""
    monkeypatch.setenv("ROS_LOG_DIR", "/proc/nowhere")
    process = start()
    output, errors = process.communicate(timeout=120)
    assert (process.returncode, output, errors.count("\n")) == (2, "", 1), errors
    assert errors.startswith("node.py: error: ROS 2 does not start: ")
    assert "/proc/nowhere" in errors
    assert errors.endswith("; set ROS_LOG_DIR to a folder that can be written to\n")


@pytest.mark.parametrize("domain", ["0", "232", ""])
def test_a_domain_that_can_be_is_taken(domain: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", domain)
    middleware.check_domain()


def test_room_for_whole_pictures_between_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE", "FASTDDS_BUILTIN_TRANSPORTS"):
        monkeypatch.delenv(name, raising=False)
    middleware.allow_large_images()
    assert Path(os.environ["FASTRTPS_DEFAULT_PROFILES_FILE"]).name == "fastdds.xml"
    monkeypatch.setenv("FASTRTPS_DEFAULT_PROFILES_FILE", "/my/own.xml")
    middleware.allow_large_images()
    assert os.environ["FASTRTPS_DEFAULT_PROFILES_FILE"] == "/my/own.xml"
