"""Rig profiles: every one that ships works with the node, and a bad one of the user's is one clear line."""

from __future__ import annotations

from pathlib import Path

import pytest
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image

from nav_vlm_node.errors import UserError
from nav_vlm_node.ros import rigs
from nav_vlm_node.ros.bringup import plan
from nav_vlm_node.ros.node import GuideNode
from nav_vlm_node.ros.up import node_arguments
from nav_vlm_node.vlm.scripted import ScriptedEngine
from nav_vlm_sim.ros import camera_node as simulated
from tests.conftest import Graph

RELIABILITY = {"reliable": ReliabilityPolicy.RELIABLE, "best_effort": ReliabilityPolicy.BEST_EFFORT}


def test_the_promised_cameras_have_a_profile() -> None:
    assert set(rigs.names()) == {"usb_cam", "d435i", "oak_d", "zed", "sim"}


@pytest.mark.parametrize("name", rigs.names())
def test_a_shipped_profile_is_complete(name: str) -> None:
    rig = rigs.load(name)
    assert rig.description
    assert rig.driver
    assert rig.worn
    assert rig.encodings
    assert {"camera_hfov", "camera_pitch", "camera_height"} <= set(rig.parameters)


@pytest.mark.parametrize("name", ["", *rigs.names()])
@pytest.mark.parametrize("namespace", ["", "me"])
def test_the_node_takes_a_profile_and_listens_where_the_camera_speaks(name: str, namespace: str, ros: Graph) -> None:
    rig = rigs.load(name)
    (wanted,) = plan({"rig": name, "namespace": namespace, "autostart": "false"}).nodes
    node: GuideNode = ros.add(
        GuideNode(engine_factory=lambda _: ScriptedEngine("Stop."), context=ros.context, **node_arguments(wanted))
    )
    for parameter, value in rig.parameters.items():
        assert node.get_parameter(parameter).value == value
    prefix = f"/{namespace}/" if namespace else "/"
    assert node.feed.topic == prefix + rig.topics.image
    camera = ros.node("camera_driver", namespace=namespace)
    driver_qos = QoSProfile(depth=10, reliability=RELIABILITY[rig.reliability])
    publishers = [
        camera.create_publisher(Image, rig.topics.image, driver_qos),
        camera.create_publisher(CameraInfo, rig.topics.camera_info, driver_qos),
    ]
    ros.until(lambda: all(publisher.get_subscription_count() == 1 for publisher in publishers), "the node to listen")
    assert node.get_namespace() == (f"/{namespace}" if namespace else "/")


def test_the_simulators_profile_is_the_simulator() -> None:
    rig, camera = rigs.load("sim"), {spec.name: spec.default for spec in simulated.PARAMETERS}
    assert rig.parameters["camera_hfov"] == pytest.approx(camera["hfov"], abs=1e-3)
    for name in ("camera_pitch", "camera_height"):
        assert rig.parameters[name] == camera[name]
    assert (rig.topics.image, rig.topics.camera_info) == ("image", "camera_info")


def test_a_profile_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "glasses.yaml"
    path.write_text(
        "description: my glasses\ntopics: {image: /g/picture, compressed: /g/jpeg, camera_info: /g/info}\n"
        "image_transport: compressed\nparameters: {camera_pitch: 0, image_rotation: 90, mirrored: true}\n"
    )
    (node,) = plan({"rig": str(path)}).nodes
    assert dict(node.remappings) == {"image": "/g/picture", "image/compressed": "/g/jpeg", "camera_info": "/g/info"}
    assert node.parameters == {
        "camera_pitch": 0.0,
        "image_rotation": 90,
        "mirrored": True,
        "image_transport": "compressed",
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("topics: {image: a}", "description is missing"),
        ("description: d\ntopic: {image: a}", "topic is not known; use description, driver"),
        ("description: d\ntopics: {images: a}", "topics.images is not known; use image, compressed, camera_info"),
        ("description: d\ntopics: image", "topics is 'image'; give NAME: VALUE lines"),
        ("description: d\ntopics: {image: my camera}", "'my camera' is no topic name"),
        ("description: d\nimage_transport: h264", "image_transport is 'h264'; use one of raw, compressed"),
        ("description: d\nqos: {reliability: good}", "qos.reliability is 'good'"),
        ("description: d\nencodings: rgb8", "encodings is 'rgb8'; give a list"),
        ("description: d\nencodings: [rgb9]", "encodings is 'rgb9'; use one of rgb8"),
        ("description: d\nparameters: {camera_hfov: 69}", "camera_hfov is 69.0: use 0.1 to 3.1"),
        ("description: d\nparameters: {model: m}", "parameters.model is not known; use "),
        ("description: d\nparameters: {image_rotation: 45}", "image_rotation is 45: use one of 0, 90, 180, 270"),
        ("- a\n- b", "holds no mapping"),
        ("description: [", "is not YAML"),
    ],
)
def test_a_bad_profile_is_one_clear_line(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as raised:
        rigs.load(str(path))
    assert says in str(raised.value)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_the_documented_table_is_made_from_the_profiles() -> None:
    assert rigs.to_table() in (Path(__file__).parents[3] / "docs" / "rigs.md").read_text(encoding="utf-8")
