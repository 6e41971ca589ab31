"""The camera node on a real graph."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import String

from nav_vlm_node.ros import qos
from nav_vlm_node.ros.camera_info import camera_from_ros
from nav_vlm_node.ros.conversions import stamp_from_ros
from nav_vlm_node.ros.images import image_from_ros
from nav_vlm_sim.camera import SimulatedCamera
from nav_vlm_sim.ros import camera_node
from nav_vlm_sim.ros.camera_node import PARAMETERS, TRUTH, SimulatedCameraNode
from tests.conftest import Graph
from tests.nav_vlm_sim.pictures import decoded

Start = Callable[..., SimulatedCameraNode]


@pytest.fixture
def start(ros: Graph) -> Start:
    def make(**values: Any) -> SimulatedCameraNode:
        chosen = {"seed": 480, "width": 160, "height": 120, "rate": 20.0, **values}
        overrides = [Parameter(name, value=value) for name, value in chosen.items()]
        node: SimulatedCameraNode = ros.add(SimulatedCameraNode(context=ros.context, parameter_overrides=overrides))
        return node

    return make


def header_of(message: Any) -> tuple[int, int, str]:
    return message.header.stamp.sec, message.header.stamp.nanosec, message.header.frame_id


def test_image_and_camera_info_belong_together(ros: Graph, start: Start) -> None:
    listener = ros.node("listener")
    images = ros.collect(listener, Image, "image", qos.CAMERA)
    infos = ros.collect(listener, CameraInfo, "camera_info", qos.CAMERA)
    start(frame_id="chest_optical_frame")
    ros.until(lambda: len(images) > 3 and len(infos) > 3, "pictures")
    assert {header_of(m) for m in images} & {header_of(m) for m in infos}
    assert images[0].header.frame_id == "chest_optical_frame"
    stamps = [stamp_from_ros(m.header.stamp) for m in images]
    assert stamps == sorted(set(stamps))
    now = ros.node("clock").get_clock().now().nanoseconds * 1e-9
    assert 0 <= now - stamps[-1] < 60
    with SimulatedCamera(160, 120, 1.5708, rig=None) as camera:
        assert camera_from_ros(infos[0], 160, 120) == camera.camera
    shown = image_from_ros(images[0])
    assert images[0].encoding == "rgb8"
    assert shown.shape == (120, 160, 3)


def test_truth_is_of_the_picture_and_waits_for_late_joiners(ros: Graph, start: Start) -> None:
    node = start(compressed=True, camera_pitch=0.2, camera_height=1.5)
    listener = ros.node("late")
    truths = ros.collect(listener, String, "truth", TRUTH)
    images = ros.collect(listener, Image, "image", qos.CAMERA)
    jpegs = ros.collect(listener, CompressedImage, "image/compressed", qos.CAMERA)
    ros.until(lambda: truths and images and jpegs, "truth and pictures")
    told = json.loads(truths[0].data)
    assert (told["scene"], told["view"]) == (480, 0)
    assert told["stamp"] <= stamp_from_ros(images[0].header.stamp)
    assert told["rig"]["camera_height"] == 1.5
    expected = node._shown.frame
    assert (image_from_ros(images[0]) == expected.raw).all()
    assert np.abs(decoded(bytes(jpegs[0].data)).astype(int) - expected.raw).mean() < 6
    assert "jpeg" in jpegs[0].format


def test_setting_the_seed_shows_that_scene(ros: Graph, start: Start) -> None:
    node = start()
    truths = ros.collect(ros.node("listener"), String, "truth", TRUTH)
    ros.until(lambda: len(truths) == 1, "the first scene")
    assert all(r.successful for r in node.set_parameters([Parameter("seed", value=500)]))
    ros.until(lambda: len(truths) == 2, "the next scene")
    assert all(r.successful for r in node.set_parameters([Parameter("view", value=2)]))
    ros.until(lambda: len(truths) == 3, "another place")
    places = [(d["scene"], d["view"]) for d in (json.loads(m.data) for m in truths)]
    assert places == [(480, 0), (500, 0), (500, 2)]
    bad = node.set_parameters([Parameter("seed", value=-1)])[0]
    assert not bad.successful
    assert "seed" in bad.reason
    assert not node.set_parameters([Parameter("width", value=320)])[0].successful, "a camera does not change its size"


def test_places_and_scenes_follow_each_other(ros: Graph, start: Start) -> None:
    truths = ros.collect(ros.node("listener"), String, "truth", TRUTH)
    start(hold_time=0.1, views=2)
    ros.until(lambda: len(truths) >= 5, "five places")
    places = [(d["scene"], d["view"]) for d in (json.loads(m.data) for m in truths)]
    assert places[:5] == [(480, 0), (480, 1), (481, 0), (481, 1), (482, 0)]


@pytest.mark.parametrize(
    ("argument", "says"),
    [("rate:=-1.0", "rate"), ("room:=cellar", "lounge"), ("hfov:=9.0", "hfov"), ("seed:=-4", "seed")],
)
def test_parameters_that_cannot_be_are_one_line(
    argument: str, says: str, ros_domain: int, capfd: pytest.CaptureFixture[str]
) -> None:
    assert camera_node.main(["--ros-args", "-p", argument]) == 2
    error = capfd.readouterr().err.strip()
    assert error.count("\n") == 0
    assert error.startswith("sim_camera_node: error:")
    assert says in error


def test_every_parameter_is_declared_with_its_default(start: Start) -> None:
    node = start()
    for spec in PARAMETERS:
        assert spec.objection(node.get_parameter(spec.name).value) is None
        assert node.describe_parameter(spec.name).description.startswith(spec.description)
