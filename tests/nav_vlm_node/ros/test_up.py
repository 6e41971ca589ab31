"""`nav-vlm up` for real: a process that becomes active, answers, and ends without a trace."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from std_msgs.msg import String

from nav_vlm_msgs.msg import Instruction as Msg
from tests.conftest import Graph
from tests.processes import Session
from tests.started import a_camera, await_active, await_topics
from tests.tiny_models import make_tiny_blip2

COMMAND = [sys.executable, "-m", "nav_vlm_node.cli", "up"]


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
        await_active(ros, probe, session)
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
        await_topics(ros, probe, session, subscribed=topic, published="/image/compressed")
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
