"""The GPU on another machine: raw images become jpegs on the rig, and the node answers from those alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from rclpy.parameter import Parameter
from sensor_msgs.msg import CompressedImage, Image

from nav_vlm_msgs.msg import Instruction as Msg
from nav_vlm_node.frames import decode_compressed
from nav_vlm_node.ros import qos
from nav_vlm_node.ros.bringup import plan
from nav_vlm_node.ros.node import GuideNode
from nav_vlm_node.ros.republish_node import RepublishNode
from nav_vlm_node.ros.up import NODES, node_arguments
from nav_vlm_node.vlm.scripted import ScriptedEngine
from tests.conftest import Graph
from tests.pictures import room
from tests.ros_rig import GOOD, Wearer

TOPIC = "/me/image_raw"
PATIENT = {"max_image_age": 30.0, "max_answer_age": 60.0, "image_timeout": 30.0, "deadline": 100.0}


def image_message(node: Any, encoding: str = "rgb8", **fields: Any) -> Image:
    picture = room()
    message = Image(height=picture.shape[0], width=picture.shape[1], encoding=encoding, step=3 * picture.shape[1])
    message.data = picture.tobytes()
    message.header.stamp = node.get_clock().now().to_msg()
    message.header.frame_id = "camera_color_optical_frame"
    for name, value in fields.items():
        setattr(message, name, value)
    return message


def jpeg_node(ros: Graph, **parameters: Any) -> RepublishNode:
    overrides = [Parameter(name, value=value) for name, value in parameters.items()]
    node: RepublishNode = ros.add(RepublishNode(context=ros.context, parameter_overrides=overrides))
    return node


def test_a_question_is_answered_over_both_roles(ros: Graph) -> None:
    given = {"rig": "usb_cam", "namespace": "me", "autostart": "true"}
    (wearer,) = plan({**given, "role": "wearer"}).nodes
    (gpu,) = plan({**given, "role": "gpu"}).nodes
    ros.add(NODES[wearer.executable](context=ros.context, **node_arguments(wearer)))
    arguments = node_arguments(gpu)
    arguments["parameter_overrides"] += [Parameter(name, value=value) for name, value in PATIENT.items()]
    guide = ros.add(GuideNode(engine_factory=lambda _: ScriptedEngine(GOOD), context=ros.context, **arguments))
    camera = ros.node("driver", namespace="me")
    publisher = camera.create_publisher(Image, TOPIC, 10)
    ros.until(publisher.get_subscription_count, "the jpeg node")
    assert publisher.get_subscription_count() == 1  # the jpeg node alone: raw images go nowhere else
    ros.until(lambda: guide.feed.publishers)
    sent = image_message(camera)
    timer = camera.create_timer(0.05, lambda: publisher.publish(sent))
    heard = Wearer(ros, guide, namespace="me")
    answer = heard.ask_and_hear()
    timer.cancel()
    assert answer.status == Msg.STATUS_OK
    assert "chair ahead" in answer.text
    assert answer.header == sent.header  # of the raw image, through the jpeg


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8"])
def test_colours_stamp_and_frame_survive(encoding: str, ros: Graph) -> None:
    jpeg_node(ros, jpeg_quality=95)
    probe = ros.node("probe")
    jpegs: list[CompressedImage] = ros.collect(probe, CompressedImage, "image/compressed", qos.CAMERA)
    publisher = probe.create_publisher(Image, "image", 10)
    sent = image_message(probe, encoding)
    timer = probe.create_timer(0.1, lambda: publisher.publish(sent))
    ros.until(lambda: jpegs)
    timer.cancel()
    shown = decode_compressed(jpegs[0].data, layout=jpegs[0].format).astype(float)
    original = room() if encoding == "rgb8" else room()[..., ::-1]
    assert np.abs(shown - original).mean() < 3
    assert jpegs[0].header == sent.header


def test_the_rate_is_kept_and_nothing_is_made_for_nobody(ros: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[float] = []
    clock = [0.0]
    monkeypatch.setattr("nav_vlm_node.ros.republish_node.time.monotonic", lambda: clock[0])

    def jpeg_of(image: Any, quality: int) -> bytes:
        made.append(clock[0])
        return b"jpeg"

    monkeypatch.setattr("nav_vlm_node.ros.republish_node.jpeg_of", jpeg_of)
    node = jpeg_node(ros, max_rate=10.0)
    probe = ros.node("probe")
    message = image_message(probe)
    node._on_image(message)
    assert made == []  # nobody listens
    ros.collect(probe, CompressedImage, "image/compressed", qos.CAMERA)
    ros.until(node._jpegs.get_subscription_count)
    for tick in range(90):  # 30 a second for 3 s
        clock[0] = 100 + tick / 30
        node._on_image(message)
    assert 28 <= len(made) <= 31
    assert max(np.diff(made)) <= 0.14


def test_an_image_that_cannot_be_read_is_said_once(ros: Graph) -> None:
    node = jpeg_node(ros)
    probe = ros.node("probe")
    ros.collect(probe, CompressedImage, "image/compressed", qos.CAMERA)
    ros.until(node._jpegs.get_subscription_count)
    said: list[str] = []

    class Log:
        def error(self, text: str) -> None:
            said.append(text)

    node.log = Log()
    for _ in range(3):
        node._due = 0.0
        node._on_image(image_message(probe, step=1))
    assert len(said) == 1
    assert "step 1 is under" in said[0]


def test_its_parameters_are_checked(ros: Graph) -> None:
    node = jpeg_node(ros)
    (result,) = node.set_parameters([Parameter("jpeg_quality", value=0)])
    assert not result.successful
    (result,) = node.set_parameters([Parameter("max_rate", value=5.0)])
    assert result.successful
