"""What follows from the arguments of bringup.launch.py and `nav-vlm up`: which nodes, with what, from where."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from nav_vlm_node.cli import up
from nav_vlm_node.errors import UserError
from nav_vlm_node.ros import rigs
from nav_vlm_node.ros.bringup import ARGUMENTS, JPEG, NAV_VLM, NodePlan, plan
from nav_vlm_node.ros.parameter_table import BY_NAME

NAMES = """namespace use_sim_time params_file autostart log_level model adapter device rig image_transport image_topic
odom_topic role respawn""".split()


def only_node(**given: str) -> NodePlan:
    (node,) = plan(given).nodes
    return node


@pytest.fixture
def params_file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "/**/nav_vlm:\n  ros__parameters:\n    device: cuda:1\n    camera_pitch: 0\n    autostart: false\n"
        "/**/image_to_jpeg:\n  ros__parameters:\n    jpeg_quality: 60\n"
    )
    return path


def test_the_arguments_are_the_promised_ones_and_each_is_described() -> None:
    assert [argument.name for argument in ARGUMENTS] == NAMES
    for argument in ARGUMENTS:
        assert len(argument.description) > 15
        assert not argument.choices or argument.default in argument.choices
    (rig,) = (argument for argument in ARGUMENTS if argument.name == "rig")
    assert all(name in rig.description for name in rigs.names())


def test_nav_vlm_up_has_the_same_arguments() -> None:
    parser = argparse.ArgumentParser()
    up.add_arguments(parser)
    options = {action.dest: action for action in parser._actions if action.option_strings and action.dest != "help"}
    assert list(options) == NAMES
    for argument in ARGUMENTS:
        option = options[argument.name]
        assert option.option_strings == [f"--{argument.name.replace('_', '-')}"]
        assert (option.help or "").startswith(argument.description)
        assert tuple(option.choices or ()) == argument.choices
        assert option.default is None  # left out: the table's default
        assert argument.default in (option.help or "")


def test_up_takes_the_words_of_ros2_launch_and_options() -> None:
    parser = argparse.ArgumentParser()
    up.add_arguments(parser)
    args = parser.parse_args(["--role", "gpu", "rig:=zed", "adapter:="])
    assert up.given(args) == {"rig": "zed", "role": "gpu", "adapter": ""}
    with pytest.raises(UserError, match="'rig' is no argument; write NAME:=VALUE"):
        up.given(parser.parse_args(["rig"]))


def test_nothing_given_leaves_everything_to_the_node() -> None:
    node = only_node()
    assert (node.name, node.executable, node.namespace) == (NAV_VLM, "guide_node", "")
    assert node.parameters == {"image_transport": BY_NAME["image_transport"].default}
    assert node.remappings == ()


def test_each_source_of_a_parameter_beats_the_next(params_file: Path) -> None:
    from_rig = only_node(rig="zed").parameters
    assert from_rig["camera_pitch"] == pytest.approx(0.175)
    wanted = plan({"rig": "zed", "params_file": str(params_file)})
    from_file = wanted.nodes[0].parameters
    assert from_file["camera_pitch"] == 0.0
    assert isinstance(from_file["camera_pitch"], float)  # written as 0
    assert from_file["camera_hfov"] == from_rig["camera_hfov"]
    assert from_file["device"] == "cuda:1"
    assert from_file["autostart"] is False
    assert wanted.notes == ("camera_pitch is 0.0 by params_file, not 0.175 as in rig zed",)
    from_argument = only_node(params_file=str(params_file), device="cpu", autostart="true").parameters
    assert from_argument["device"] == "cpu"
    assert from_argument["autostart"] is True


def test_arguments_become_parameters() -> None:
    node = only_node(
        model="/models/m", adapter="guide", device="cuda", use_sim_time="true", image_transport="compressed"
    )
    assert node.parameters == {
        "model": "/models/m",
        "adapter": "guide",
        "device": "cuda",
        "use_sim_time": True,
        "image_transport": "compressed",
    }
    assert only_node(adapter="none").parameters["adapter"] == ""
    assert plan({"log_level": "debug", "respawn": "true"}).log_level == "debug"
    assert plan({"log_level": "debug", "respawn": "true"}).respawn


@pytest.mark.parametrize(
    ("topic", "expected"),
    [
        ("/cam/image_raw", {"image": "/cam/image_raw", "camera_info": "/cam/camera_info"}),
        ("/cam/image_raw/compressed", {"image": "/cam/image_raw", "camera_info": "/cam/camera_info"}),
        ("picture", {"image": "picture"}),  # camera_info is beside it already
        ("/picture", {"image": "/picture", "camera_info": "/camera_info"}),
    ],
)
def test_image_topic_brings_what_is_beside_it(topic: str, expected: dict[str, str]) -> None:
    wanted = {**expected, "image/compressed": f"{expected['image']}/compressed"}
    assert dict(only_node(image_topic=topic, rig="d435i").remappings) == wanted


def test_odometry_from_elsewhere() -> None:
    assert dict(only_node(odom_topic="/zed/zed_node/odom").remappings) == {"odom": "/zed/zed_node/odom"}
    assert dict(only_node(odom_topic="vio", rig="d435i").remappings)["odom"] == "vio"
    assert "odom" not in dict(only_node(rig="d435i").remappings)
    with pytest.raises(UserError, match="'my odom' is no topic name"):
        only_node(odom_topic="my odom")
    found = plan({"role": "wearer", "odom_topic": "vio"})
    assert any("odom_topic without effect" in note for note in found.notes)


def test_the_rigs_topics() -> None:
    topics = dict(only_node(rig="d435i").remappings)
    assert topics == {
        "image": "camera/camera/color/image_raw",
        "image/compressed": "camera/camera/color/image_raw/compressed",
        "camera_info": "camera/camera/color/camera_info",
    }


def test_with_the_gpu_elsewhere_only_jpegs_cross(params_file: Path) -> None:
    given = {"rig": "d435i", "namespace": "/me/", "params_file": str(params_file)}
    wearer, gpu = only_node(role="wearer", **given), only_node(role="gpu", **given)
    assert (wearer.name, wearer.executable, wearer.namespace) == (JPEG, "republish_node", "me")
    assert dict(wearer.remappings) == {"image": "camera/camera/color/image_raw"}
    assert wearer.parameters == {"jpeg_quality": 60}
    assert (gpu.name, gpu.executable, gpu.namespace) == (NAV_VLM, "guide_node", "me")
    assert gpu.parameters["image_transport"] == "compressed"
    assert "image/compressed" not in dict(gpu.remappings)  # where the wearer's side publishes it
    assert dict(gpu.remappings)["camera_info"] == "camera/camera/color/camera_info"


def test_a_camera_that_makes_jpegs_itself_needs_nothing_on_the_rig() -> None:
    gpu = only_node(role="gpu", rig="usb_cam", image_transport="compressed")
    assert dict(gpu.remappings)["image/compressed"] == "image_raw/compressed"
    with pytest.raises(UserError, match="nothing to do for a camera that publishes jpeg"):
        plan({"role": "wearer", "rig": "usb_cam", "image_transport": "compressed"})


def test_what_is_probably_not_meant_is_noted(tmp_path: Path) -> None:
    assert "model, device without effect" in plan({"role": "wearer", "model": "m", "device": "cuda"}).notes[0]
    other = tmp_path / "other.yaml"
    other.write_text("/elsewhere/nav_vlm: {ros__parameters: {device: cpu}}")
    assert "has nothing for /nav_vlm" in plan({"params_file": str(other)}).notes[0]
    other.write_text("nav_vlm: {ros__parameters: {devise: cpu, use_sim_time: true, qos_overrides: {a: {depth: 1}}}}")
    assert plan({"params_file": str(other)}).notes == (f"params_file {other}: nav_vlm has no parameter devise",)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"rig": "gopro"}, "no rig 'gopro'; use one of d435i, oak_d, sim, usb_cam, zed, or the path"),
        ({"rig": "gopro.yaml"}, "rig gopro.yaml cannot be read"),
        ({"role": "both"}, "role is 'both': use one of all, wearer, gpu"),
        ({"autostart": "True"}, "autostart is 'True': use one of true, false"),
        ({"namespace": "my rig"}, "namespace 'my rig' is not valid"),
        ({"image_topic": "my camera"}, "'my camera' is no topic name"),
        ({"params_file": "missing.yaml"}, "params_file missing.yaml cannot be read"),
        ({"image_transport": "theora"}, "image_transport is 'theora'"),
        ({"colour": "red"}, "colour is no argument; use namespace, use_sim_time"),
    ],
)
def test_bad_arguments_are_one_clear_line(given: dict[str, str], says: str) -> None:
    with pytest.raises(UserError) as raised:
        plan(given)
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("role", "text", "says"),
    [
        ("all", "nav_vlm: {ros__parameters: {camera_pitch: 3.0}}", "camera_pitch is 3.0: use -1.396 to 1.396"),
        ("all", "nav_vlm: {ros__parameters: {model: 3}}", "model must be of type string"),
        ("all", "nav_vlm: {ros__parameters: {image_transport: theora}}", "image_transport is 'theora'"),
        ("wearer", "image_to_jpeg: {ros__parameters: {jpeg_quality: 101}}", "jpeg_quality is 101: use 1 to 100"),
        ("all", "camera_pitch: 0.1", "camera_pitch stands outside ros__parameters"),
        ("all", "nav_vlm: {ros__parameters: 3}", "is no mapping"),
        ("all", "- 3", "holds no mapping"),
        ("all", "{", "is not YAML"),
    ],
)
def test_bad_parameter_files_are_one_clear_line(role: str, text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as raised:
        plan({"role": role, "params_file": str(path)})
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)


def test_respawn_is_refused_by_up(capsys: pytest.CaptureFixture[str]) -> None:
    from nav_vlm_node.cli import main

    assert main(["up", "respawn:=true"]) == 2
    assert capsys.readouterr().err == (
        "nav-vlm: error: respawn needs ros2 launch, or a service manager that starts nav-vlm up again\n"
    )
