"""The node `play`: a recording goes through the node nav_vlm live, by simulated time, once that is active."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from rclpy.parameter import Parameter

from nav_vlm_msgs.msg import Instruction as InstructionMsg
from nav_vlm_node.instruction import Status
from nav_vlm_node.ros import qos
from nav_vlm_node.ros.conversions import stamp_from_ros
from nav_vlm_node.ros.node import GuideNode
from nav_vlm_node.ros.play_node import PlayNode
from nav_vlm_node.vlm.scripted import ScriptedEngine
from tests.bags import START, ns, recording
from tests.conftest import Graph
from tests.ros_rig import GOOD


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
