"""The bridge, with a camera that stands in for Gazebo's: no Gazebo is needed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nav_vlm_node.errors import UserError
from nav_vlm_node.ros import qos
from nav_vlm_node.ros.conversions import stamp_to_ros
from nav_vlm_sim.scene import Pose
from nav_vlm_sim.walks.building import Building
from nav_vlm_sim.walks.crowd import Crowd
from nav_vlm_sim.walks.episode import Picture, Stage
from nav_vlm_sim.walks.floorplan import FloorPlan
from nav_vlm_sim.walks.procedural import plan_of
from tests.conftest import Graph
from tests.gazebo_classic import bridge

SEED = 10_100_000


class StandInCamera:
    """In place of ClassicCamera: grey, brighter from picture to picture. hangs: how many times it fails first."""

    hangs = 0

    def __init__(self, plan: FloorPlan, work: Path, *, patience: float) -> None:
        self.plan, self.stamp, self.open = plan, 0.0, 0
        self.hangs = type(self).hangs

    def __enter__(self) -> StandInCamera:
        self.open, self.stamp = self.open + 1, 0.0
        return self

    def __exit__(self, *_: object) -> None:
        self.open -= 1

    def __call__(self, building: Building, crowd: Crowd, pose: Pose) -> Picture:
        assert self.open == 1
        if self.hangs:
            self.hangs -= 1
            raise AssertionError("Gazebo is silent")
        self.stamp += 0.1
        return np.full((360, 480, 3), round(10 * self.stamp), np.uint8)


@pytest.fixture(autouse=True)
def _stands_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridge, "ClassicCamera", StandInCamera)


@pytest.mark.parametrize("hangs", [0, 1, 2])
def test_a_gazebo_that_hangs_is_started_afresh_once(
    hangs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StandInCamera, "hangs", hangs)
    stage = Stage(plan_of(SEED))
    crowd = Crowd.of(stage.building, stage.space)
    eye = bridge.ClassicEye()
    eye.open(stage.building.plan, tmp_path)
    pose = Pose(x=1.0, y=2.0, height=1.4, yaw=0.5, pitch=0.1, roll=0.0)
    if hangs > 1:
        with pytest.raises(AssertionError, match="silent"):
            eye(stage.building, crowd, pose)
    else:
        assert (eye(stage.building, crowd, pose) == 1).all()
    eye.close()
    eye.close()
    lines = [json.loads(line) for line in (tmp_path / bridge.PICTURES).read_text(encoding="utf-8").splitlines()]
    assert [(line["start"], line["pose"]["x"]) for line in lines] == ([] if hangs > 1 else [(1 + hangs, 1.0)])


def test_the_node_shows_what_the_camera_shows(ros: Graph, tmp_path: Path) -> None:
    from geometry_msgs.msg import PoseStamped
    from rclpy.parameter import Parameter
    from sensor_msgs.msg import Image

    from nav_vlm_sim.ros.rig_node import EVERY_TICK

    node = ros.node("watcher")
    images: list[Any] = ros.collect(node, Image, "image", qos.CAMERA)
    wearers = node.create_publisher(PoseStamped, "wearer", EVERY_TICK)
    work = tmp_path / "work"
    work.mkdir()
    values = {"plan": str(SEED), "work": str(work), "rate": 0.1}
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    made = ros.add(bridge.ClassicBridgeNode(context=ros.context, parameter_overrides=overrides))
    assert (work / bridge.READY).exists()
    ros.until(lambda: wearers.get_subscription_count() and node.count_publishers("image"), "the bridge")
    message = PoseStamped()
    message.pose.orientation.w = 1.0

    def wear(*times: float) -> None:
        for time in times:
            message.header.stamp = stamp_to_ros(time)
            wearers.publish(message)

    wear(10.0)  # drawn, because it is time for a picture
    ros.until(lambda: len(images) == 1, "a picture")
    wear(10.1, 10.1)  # drawn once, because the wearer looks
    ros.until(lambda: len(images) == 2, "another picture")
    assert [(image.data[0], image.encoding, image.header.stamp.nanosec) for image in images] == [
        (1, "rgb8", 0), (2, "rgb8", 100_000_000),
    ]  # fmt: skip
    made.stop()


@pytest.mark.parametrize("work", ["", "{}/none", "{}"])
def test_without_an_empty_folder_it_does_not_start(work: str, ros: Graph, tmp_path: Path) -> None:
    from rclpy.parameter import Parameter

    (tmp_path / "a_file").touch()
    values = {"plan": str(SEED), "work": work.format(tmp_path)}
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    with pytest.raises(UserError, match="work is"):
        bridge.ClassicBridgeNode(context=ros.context, parameter_overrides=overrides)
