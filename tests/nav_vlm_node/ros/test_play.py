"""The node `play`: a recording goes through the node nav_vlm live, by simulated time, once that is active."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock

from nav_vlm_msgs.msg import Instruction as InstructionMsg
from nav_vlm_node.instruction import Status
from nav_vlm_node.ros import play_node, qos
from nav_vlm_node.ros.conversions import stamp_from_ros
from nav_vlm_node.ros.node import GuideNode
from nav_vlm_node.ros.play_node import PlayNode
from nav_vlm_node.vlm.scripted import ScriptedEngine
from tests.bags import START, ns, recording
from tests.conftest import Graph
from tests.ros_rig import GOOD, guide_node


def test_a_bag_goes_through_the_node_live(ros: Graph, tmp_path: Path) -> None:
    with recording(tmp_path / "bag") as bag:
        bag.image(99, 5)  # a wild time is not waited for
        for number in range(30):
            bag.image(number, ns(0.1 * number))
        bag.query("Where is the door?", ns(1.55), "a")
        bag.query("Where is the door?", ns(2.85), "b")
    probe = ros.node("probe")
    heard: list[InstructionMsg] = ros.collect(probe, InstructionMsg, "instruction", qos.ANSWER)
    played = Parameter("bag", value=str(tmp_path / "bag"))
    player = ros.add(PlayNode(context=ros.context, parameter_overrides=[played]))
    values = {
        "use_sim_time": True, "max_image_age": 30.0, "max_answer_age": 60.0, "image_timeout": 30.0, "deadline": 100.0,
    }  # fmt: skip
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    ros.add(
        GuideNode(
            engine_factory=lambda _: ScriptedEngine(GOOD), context=ros.context, parameter_overrides=overrides
        )
    )  # fmt: skip
    assert player.ended.wait(120)
    assert player.fault == ""
    ros.until(lambda: len(heard) == 2, "both answers")
    assert {message.query_id for message in heard} == {"a", "b"}
    for message in heard:
        assert Status(message.status) is Status.OK, message.message
        assert START * 1e-9 <= stamp_from_ros(message.header.stamp) <= ns(3) * 1e-9
        assert 0 <= message.image_age < 30


def test_with_the_bags_odometry_the_node_leads_on_by_memory(ros: Graph, tmp_path: Path) -> None:
    with recording(tmp_path / "bag") as bag:
        for number in range(30):
            bag.odometry(ns(0.1 * number))
            bag.image(number, ns(0.1 * number))
        bag.query("How do I get to the exit?", ns(2.85), "a")
    heard: list[InstructionMsg] = ros.collect(ros.node("probe"), InstructionMsg, "instruction", qos.ANSWER)
    played = Parameter("bag", value=str(tmp_path / "bag"))
    player = ros.add(PlayNode(context=ros.context, parameter_overrides=[played]))
    answers = {
        "How do I get to the exit?": "No exit in view. Turn slowly to look around.",
        "Where is the open door?": "No open door in view.",
    }
    guide_node(ros, ScriptedEngine(answers), use_sim_time=True)
    assert player.ended.wait(120)
    assert player.fault == ""
    (answer,) = ros.until(lambda: list(heard), "the answer")
    assert Status(answer.status) is Status.SEARCHING, answer.message


def test_jpegs_that_nobody_listens_to_are_not_played_into_the_void(
    ros: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that expects raw pictures hears camera_info, and would answer NO_IMAGE to everything."""
    monkeypatch.setattr(play_node, "MATCHING", 1.0)
    with recording(tmp_path / "bag") as bag:
        bag.camera_info(ns(0), 60.0)
        bag.jpeg(0, ns(0))
        bag.query("Where is the door?", ns(0.2), "a")
    played = Parameter("bag", value=str(tmp_path / "bag"))
    player = ros.add(PlayNode(context=ros.context, parameter_overrides=[played]))
    ros.add(GuideNode(engine_factory=lambda _: ScriptedEngine(GOOD), context=ros.context))
    assert player.ended.wait(120)
    assert "nobody listens to /image/compressed" in player.fault
    assert "image_transport:=compressed for jpegs" in player.fault


def test_the_clock_does_not_go_back_where_files_overlap(ros: Graph, tmp_path: Path) -> None:
    with recording(tmp_path / "bag") as bag:
        bag.query("Where is the door?", ns(0.0), "a")
    played = Parameter("bag", value=str(tmp_path / "bag"))
    player = ros.add(PlayNode(context=ros.context, parameter_overrides=[played]))
    clocks: list[Clock] = ros.collect(ros.node("probe"), Clock, "/clock", 10)
    ros.until(player._clock_topic.get_subscription_count, "the listener")
    for seconds in (3.0, 2.0, 4.0, 100_000.0, 5.0):  # a wild time does not hold the others up
        player._tick(ns(seconds))
    ros.until(lambda: len(clocks) >= 4, "the times")
    shown = [message.clock.sec - START // 10**9 for message in clocks]
    assert shown == [3, 4, 100_000, 5]
    player.stop()


@pytest.mark.parametrize(
    ("bag", "says"), [("", "bag is empty; give bag:="), ("nowhere", "does not exist; give a rosbag2 folder")]
)
def test_what_is_no_bag_is_one_line_and_status_2(ros_domain: int, bag: str, says: str) -> None:
    words = ["--ros-args", "-p", f"bag:={bag or chr(39) * 2}"]
    done = subprocess.run(
        [sys.executable, "-m", "nav_vlm_node.ros.play_node", *words], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 2
    assert says in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
