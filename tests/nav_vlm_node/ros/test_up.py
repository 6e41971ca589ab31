"""`nav-vlm up` for real: a process that becomes active, answers, and ends without a trace."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest
from lifecycle_msgs.srv import GetState
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import String

from nav_vlm_msgs.msg import Instruction as Msg
from nav_vlm_node.ros import qos
from tests.conftest import Graph
from tests.pictures import room
from tests.processes import Session
from tests.tiny_models import make_tiny_blip2

LOADING = 300.0  # seconds for torch and transformers to come from a cold disk on a busy machine
COMMAND = [sys.executable, "-m", "nav_vlm_node.cli", "up"]


def state_of(ros: Graph, probe: Any, name: str) -> str:
    return str(ros.call(probe, GetState, f"{name}/get_state", GetState.Request()).current_state.label)


def a_camera(ros: Graph, probe: Any, topic: str) -> Callable[[], None]:
    """Publishes a picture twenty times a second until the function that is returned is called."""
    publisher = probe.create_publisher(CompressedImage, topic, qos.CAMERA)
    data = cv2.imencode(".jpg", room()[..., ::-1])[1].tobytes()

    def show() -> None:
        message = CompressedImage(format="rgb8; jpeg compressed bgr8", data=data)
        message.header.frame_id = "glasses"
        message.header.stamp = probe.get_clock().now().to_msg()
        publisher.publish(message)

    timer = probe.create_timer(0.05, show)
    return lambda: timer.cancel()


def test_it_becomes_active_answers_and_leaves_nothing_behind(ros: Graph, tmp_path: Path) -> None:
    model = make_tiny_blip2(tmp_path / "tiny", with_adapter=True)
    params = tmp_path / "params.yaml"
    params.write_text(
        "/**/nav_vlm:\n  ros__parameters:\n"
        "    {max_image_age: 30, max_answer_age: 60, image_timeout: 30, deadline: 100, min_confidence: 0}\n"
    )
    words = [f"model:={model}", "adapter:=none", "namespace:=me", "rig:=usb_cam", "image_transport:=compressed"]
    probe = ros.node("probe", namespace="me")
    heard: list[Msg] = ros.collect(probe, Msg, "instruction")
    stop = a_camera(ros, probe, "image_raw/compressed")
    with Session([*COMMAND, *words, "--params-file", str(params)]) as session:
        client = probe.create_client(GetState, "nav_vlm/get_state")
        ros.until(lambda: client.service_is_ready() or session.process.poll() is not None, "the node", LOADING)
        ros.until(lambda: state_of(ros, probe, "nav_vlm") == "active", "the node to be active", LOADING)
        questions = probe.create_publisher(String, "query_text", 10)
        ros.until(questions.get_subscription_count)
        ros.until(lambda: probe.count_publishers("instruction"))
        questions.publish(String(data="How do I get to the exit?"))
        answer = ros.until(lambda: heard, "an answer")[0]
        assert (answer.model, answer.adapter) == ("tiny-t5", "")
        assert answer.header.frame_id == "glasses"
        assert answer.status in (Msg.STATUS_OK, Msg.STATUS_UNSURE, Msg.STATUS_NOT_VISIBLE), answer.message
        assert len(session.alive()) >= 2  # the node and the process of its model
        stop()
        status, _, errors = session.interrupt(all_of_it=True)
        assert status == 0, errors
        assert "Traceback" not in errors
        assert "active" in errors  # its log
        assert session.alive() == []


def test_the_wearers_side(ros: Graph) -> None:
    probe = ros.node("probe")
    with Session([*COMMAND, "role:=wearer", "rig:=zed"]) as session:
        topic = "/zed/zed_node/rgb/color/rect/image"
        ros.until(lambda: probe.count_subscribers(topic) and probe.count_publishers("/image/compressed"), "the node")
        status, _, errors = session.interrupt()
        assert status == 0, errors
        assert session.alive() == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["rig:=gopro"], "nav-vlm: error: there is no rig 'gopro'; use one of d435i, oak_d, sim, usb_cam, zed, "),
        (["--role", "both"], "nav-vlm: error: argument --role: invalid choice: 'both'"),
        (["usb_cam"], "nav-vlm: error: 'usb_cam' is no argument; write NAME:=VALUE"),
    ],
)
def test_bad_words_are_one_line_and_status_2(words: list[str], says: str, ros_domain: int) -> None:
    with Session([*COMMAND, *words]) as session:
        output, errors = session.process.communicate(timeout=120)
    assert (session.process.returncode, output) == (2, "")
    assert errors.startswith(says)
    assert errors.count("\n") == 1
