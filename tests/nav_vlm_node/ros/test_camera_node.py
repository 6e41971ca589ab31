"""`nav-vlm camera` and its node: what is published is what the source shows, when and whence it says."""

from __future__ import annotations

import math
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from builtin_interfaces.msg import Time
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from nav_vlm_node.errors import UserError
from nav_vlm_node.frames import decode_compressed
from nav_vlm_node.ros import qos
from nav_vlm_node.ros.camera_info import camera_from_ros
from nav_vlm_node.ros.camera_node import CameraNode
from nav_vlm_node.ros.conversions import stamp_from_ros
from nav_vlm_node.ros.images import image_from_ros
from tests.conftest import Graph
from tests.processes import Session

LEVELS = (40, 120, 200)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three images, each of a gray of its own with a red corner."""
    for index, level in enumerate(LEVELS):
        image = np.full((48, 64, 3), level, np.uint8)
        image[:16, :16] = (0, 0, 255)  # OpenCV writes blue, green, red
        cv2.imwrite(str(tmp_path / f"{index}.png"), image)
    return tmp_path


def camera(ros: Graph, source: Path | str, **parameters: Any) -> CameraNode:
    values = {"source": str(source), **parameters}
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    node: CameraNode = ros.add(CameraNode(context=ros.context, parameter_overrides=overrides))
    return node


def level(image: Any) -> int:
    """The gray of one of the folder's images."""
    return round(float(np.asarray(image)[32:].mean()))


def test_the_command_publishes_a_folder_with_right_stamps(ros: Graph, folder: Path) -> None:
    probe = ros.node("probe")
    images: list[Image] = ros.collect(probe, Image, "/cam/picture", qos.CAMERA)
    infos: list[CameraInfo] = ros.collect(probe, CameraInfo, "/cam/camera_info", qos.CAMERA)
    jpegs: list[CompressedImage] = ros.collect(probe, CompressedImage, "/cam/picture/compressed", qos.CAMERA)
    started = time.time()
    words = [
        "--source",
        str(folder),
        "--loop",
        "--rate",
        "20",
        "--hfov",
        "90",
        "--topic",
        "/cam/picture",
        "--compressed",
    ]
    with Session([sys.executable, "-m", "nav_vlm_node.cli", "camera", *words]) as session:
        ros.until(lambda: len(images) >= 8 and len(infos) >= 8 and len(jpegs) >= 8, "pictures")
        status, _, errors = session.interrupt()
        assert status == 0, errors
        assert "Traceback" not in errors
        assert session.alive() == []
    ended = time.time()

    stamps = [stamp_from_ros(message.header.stamp) for message in images]
    assert started < stamps[0]
    assert stamps[-1] < ended
    assert stamps == sorted(stamps)
    assert np.median(np.diff(stamps)) >= 0.04  # 20 a second; a busy machine may be slower, never faster
    shown = [level(image_from_ros(message)) for message in images]
    assert set(shown) == set(LEVELS)
    assert image_from_ros(images[0])[0, 0].tolist() == [255, 0, 0]
    assert (images[0].encoding, images[0].step, images[0].header.frame_id) == ("rgb8", 192, "camera_optical_frame")

    # Best effort may lose one of the three; what came at the same stamp belongs together.
    by_stamp = {stamp_from_ros(message.header.stamp): message for message in infos}
    both = [by_stamp[stamp] for stamp in stamps if stamp in by_stamp]
    assert len(both) >= 3
    assert all(info.header.frame_id == "camera_optical_frame" for info in both)
    assert np.degrees(2 * math.atan(32 / both[0].k[0])) == pytest.approx(90)
    for message in jpegs:
        stamp = stamp_from_ros(message.header.stamp)
        if stamp in stamps:
            picture = decode_compressed(message.data, layout=message.format)
            assert abs(level(picture) - shown[stamps.index(stamp)]) <= 2


def test_an_unreadable_source_is_one_line_and_status_2(ros_domain: int, tmp_path: Path) -> None:
    with Session([sys.executable, "-m", "nav_vlm_node.cli", "camera", "--source", str(tmp_path)]) as session:
        output, errors = session.process.communicate(timeout=120)
    assert (session.process.returncode, output) == (2, "")
    assert errors == f"nav-vlm: error: folder {tmp_path} holds no image; give one with .jpg, .jpeg, .png files\n"


def test_the_executable_says_it_too(ros_domain: int) -> None:
    command = [sys.executable, "-m", "nav_vlm_node.ros.camera_node", "--ros-args", "-p", "source:=/dev/video97"]
    with Session(command) as session:
        _, errors = session.process.communicate(timeout=120)
    assert session.process.returncode == 2
    assert errors.splitlines()[-1].startswith("camera_node: error: camera /dev/video97 is not there")
    assert "Traceback" not in errors


def test_without_a_field_of_view_it_is_not_calibrated(ros: Graph, folder: Path) -> None:
    probe = ros.node("probe")
    infos: list[CameraInfo] = ros.collect(probe, CameraInfo, "camera_info", qos.CAMERA)
    camera(ros, folder, loop=True)
    ros.until(lambda: infos)
    assert (infos[0].width, infos[0].height) == (64, 48)
    assert camera_from_ros(infos[0], width=64, height=48) is None  # the node then takes the rig's number


def test_a_folder_that_is_shown_once_waits_for_somebody_and_ends(ros: Graph, folder: Path) -> None:
    node = camera(ros, folder, rate=20.0)
    assert not node.ended.wait(1.0)
    probe = ros.node("probe")
    images: list[Image] = ros.collect(probe, Image, "image", qos.CAMERA)
    assert node.ended.wait(60)
    assert node.fault == ""
    ros.until(lambda: images and level(image_from_ros(images[-1])) == LEVELS[-1], "the last picture")


def test_only_compressed(ros: Graph, folder: Path) -> None:
    probe = ros.node("probe")
    jpegs: list[CompressedImage] = ros.collect(probe, CompressedImage, "image/compressed", qos.CAMERA)
    camera(ros, folder, loop=True, raw=False, compressed=True)
    ros.until(lambda: jpegs)
    assert probe.count_publishers("/image") == 0
    assert "jpeg" in jpegs[0].format


def test_a_source_that_goes_away_ends_with_its_reason(ros: Graph, folder: Path) -> None:
    node = camera(ros, folder, loop=True, rate=50.0)
    for path in folder.glob("*.png"):
        path.unlink()
    assert node.ended.wait(60)
    assert "no image can be read any more" in node.fault


def test_stamps_follow_the_nodes_clock(ros: Graph, folder: Path) -> None:
    probe = ros.node("probe")
    images: list[Image] = ros.collect(probe, Image, "image", qos.CAMERA)
    camera(ros, folder, loop=True, use_sim_time=True)
    clock = probe.create_publisher(Clock, "/clock", 10)
    simulated = Clock(clock=Time(sec=42, nanosec=7))
    timer = probe.create_timer(0.05, lambda: clock.publish(simulated))
    ros.until(lambda: images and images[-1].header.stamp == simulated.clock, "a picture stamped by /clock")
    timer.cancel()


def test_nothing_to_publish_is_refused(ros: Graph, folder: Path) -> None:
    with pytest.raises(UserError, match="nothing to publish"):
        camera(ros, folder, raw=False)
