"""An independent client: another vendor's DDS, in a process without rclpy, asks and hears the answer."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from nav_vlm_node.instruction import Action, Status
from nav_vlm_node.vlm.scripted import ScriptedEngine
from tests.conftest import Graph
from tests.ros_rig import GOOD, guide_node

CLIENT = Path(__file__).with_name("dds_client.py")
# The test's graph is on this machine only, and found without multicast (ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST).
LOCALHOST = """<CycloneDDS><Domain>
  <General><Interfaces><NetworkInterface name="lo" multicast="false"/></Interfaces></General>
  <Discovery><ParticipantIndex>auto</ParticipantIndex><Peers><Peer address="localhost"/></Peers></Discovery>
</Domain></CycloneDDS>"""


def test_a_client_of_another_dds_vendor_gets_an_answer(ros: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CYCLONEDDS_URI", LOCALHOST)
    guide = guide_node(ros, ScriptedEngine(GOOD))
    ros.until(lambda: guide.state == "active")
    done = subprocess.run(
        [sys.executable, str(CLIENT), str(ros.domain)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    heard = json.loads(done.stdout)
    assert heard["rclpy"] is False
    assert heard["status"] == Status.OK.value
    assert heard["text"] == "Caution, chair ahead, 1 metre. Turn left 35 degrees, then move 4 metres to the door."
    assert heard["query"] == "Where is the door?"
    assert [step["action"] for step in heard["steps"]] == [
        Action.CAUTION.value,
        Action.TURN.value,
        Action.MOVE.value,
    ]
    assert heard["frame_id"] == "dds_camera"
    assert heard["steps"][2]["landmark"] == "door"
