"""`ros2 launch` for real, where ROS 2's launch tools are installed."""

from __future__ import annotations

import importlib.util
import os
import runpy
import shutil
import sys
from pathlib import Path

import pytest
from std_msgs.msg import String

from nav_vlm_msgs.msg import Instruction as Msg
from nav_vlm_node.ros import bringup
from tests.conftest import Graph
from tests.processes import Session
from tests.started import a_camera, await_active, await_topics
from tests.tiny_models import make_tiny_blip2

ROOT = Path(__file__).parents[2]
MISSING = [name for name in ("launch_ros", "ros2cli", "ros2launch") if importlib.util.find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"launch tools: {', '.join(MISSING)} not installed")
ROS2 = [sys.executable, "-c", "import sys; from ros2cli.cli import main; sys.exit(main())"]
EXECUTABLES = {"guide_node": "nav_vlm_node.ros.node", "republish_node": "nav_vlm_node.ros.republish_node"}


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The package as a ROS 2 workspace has it installed: executables, launch files, an entry in the index."""
    prefix = tmp_path / "install"
    (prefix / "share/ament_index/resource_index/packages").mkdir(parents=True)
    (prefix / "share/ament_index/resource_index/packages/nav_vlm").touch()
    (prefix / "lib/nav_vlm").mkdir(parents=True)
    for name, module in EXECUTABLES.items():
        script = prefix / "lib/nav_vlm" / name
        script.write_text(f'#!/bin/sh\nexec {sys.executable} -m {module} "$@"\n')
        script.chmod(0o755)
    (prefix / "share/nav_vlm").mkdir()
    shutil.copytree(ROOT / "launch", prefix / "share/nav_vlm/launch")  # ros2 launch follows no links to folders
    monkeypatch.setenv("AMENT_PREFIX_PATH", os.pathsep.join([str(prefix), os.environ.get("AMENT_PREFIX_PATH", "")]))
    return prefix


def test_the_launch_tools_see_the_table() -> None:
    description = runpy.run_path(str(ROOT / "launch" / "bringup.launch.py"))["generate_launch_description"]()
    seen = [
        (each.name, "".join(part.text for part in each.default_value), tuple(each.choices or ()))
        for each in description.get_launch_arguments()
    ]
    assert seen == [(argument.name, argument.default, argument.choices) for argument in bringup.ARGUMENTS]


def test_sim_has_the_arguments_of_both() -> None:
    description = runpy.run_path(str(ROOT / "launch" / "sim.launch.py"))["generate_launch_description"]()
    names = {each.name for each in description.get_launch_arguments()}
    own = {"simulator", "world", "headless", "seed", "hold_time", "rate", "plan", "walk", "walker", "lockstep"}
    assert {argument.name for argument in bringup.ARGUMENTS} | own == names


def test_a_bad_argument_is_a_line_and_a_status(installed: Path, ros_domain: int) -> None:
    with Session([*ROS2, "launch", "nav_vlm", "bringup.launch.py", "rig:=gopro"]) as session:
        output, errors = session.process.communicate(timeout=120)
    assert session.process.returncode == 1
    assert "there is no rig 'gopro'; use one of d435i" in output + errors
    assert "Traceback" not in output + errors


@pytest.mark.parametrize("all_of_it", [True, False], ids=["ctrl-c", "sigint to launch alone"])
def test_active_answers_and_leaves_nothing_behind(ros: Graph, installed: Path, tmp_path: Path, all_of_it: bool) -> None:
    model = make_tiny_blip2(tmp_path / "tiny")
    params = tmp_path / "params.yaml"
    params.write_text(
        "/**/nav_vlm:\n  ros__parameters:\n"
        "    {max_image_age: 30, max_answer_age: 60, image_timeout: 30, deadline: 100, min_confidence: 0}\n"
    )
    words = [f"model:={model}", "namespace:=me", "rig:=usb_cam", "image_transport:=compressed", "log_level:=info"]
    probe = ros.node("probe", namespace="me")
    heard: list[Msg] = ros.collect(probe, Msg, "instruction")
    stop = a_camera(ros, probe, "image_raw/compressed")
    with Session([*ROS2, "launch", "nav_vlm", "bringup.launch.py", *words, f"params_file:={params}"]) as session:
        await_active(ros, probe, session)
        questions = probe.create_publisher(String, "query_text", 10)
        ros.until(questions.get_subscription_count)
        ros.until(lambda: probe.count_publishers("instruction"))
        questions.publish(String(data="How do I get to the exit?"))
        answer = ros.until(lambda: heard, "an answer")[0]
        assert answer.status in (Msg.STATUS_OK, Msg.STATUS_UNSURE, Msg.STATUS_NOT_VISIBLE), answer.message
        assert answer.model == "tiny-t5"
        assert len(session.alive()) >= 3  # launch, the node, the process of its model
        stop()
        status, output, errors = session.interrupt(all_of_it=all_of_it)
        assert "process has finished cleanly" in output + errors
        assert "Traceback" not in output + errors
        assert status == 0
        assert session.alive() == []


def test_the_wearers_side(ros: Graph, installed: Path) -> None:
    probe = ros.node("probe")
    with Session([*ROS2, "launch", "nav_vlm", "bringup.launch.py", "role:=wearer", "rig:=d435i"]) as session:
        topic = "/camera/camera/color/image_raw"
        await_topics(ros, probe, session, subscribed=topic, published="/image/compressed")
        status, output, errors = session.interrupt(all_of_it=True)
        assert "process has finished cleanly" in output + errors
        assert status == 0
        assert session.alive() == []


GZ_STAND_IN = """#!{python}
import pathlib, signal, sys, time
folder = pathlib.Path({folder!r})
def stop(*_):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(11)  # gz gives its window and its server five seconds each
    (folder / "gz_ended").touch()
    sys.exit(0)
signal.signal(signal.SIGINT, stop)
(folder / "gz").write_text("\\n".join(sys.argv[1:]))
while True:
    signal.pause()
"""
BRIDGE_STAND_IN = """#!{python}
import os, pathlib, signal, sys
told = os.environ["FASTRTPS_DEFAULT_PROFILES_FILE"], *sys.argv[1:]
(pathlib.Path({folder!r}) / "bridge").write_text("\\n".join(told))
signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
signal.pause()
"""


def test_gazebo_and_its_bridge_are_given_what_they_need(
    ros: Graph, installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With stand-ins for the two programs, which no machine of ours has."""
    (installed / "share/ament_index/resource_index/packages/ros_gz_bridge").touch()
    (installed / "lib/ros_gz_bridge").mkdir()
    (tmp_path / "bin").mkdir()
    programs = {"bin/gz": GZ_STAND_IN, "install/lib/ros_gz_bridge/parameter_bridge": BRIDGE_STAND_IN}
    for name, text in programs.items():
        (tmp_path / name).write_text(text.format(python=sys.executable, folder=str(tmp_path)))
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("FASTRTPS_DEFAULT_PROFILES_FILE", raising=False)
    (tmp_path / "world").mkdir()
    for name in ("world.sdf", "bridge.yaml"):
        (tmp_path / "world" / name).touch()
    words = ["simulator:=gazebo", f"world:={tmp_path / 'world'}", "headless:=true", "namespace:=me"]
    probe = ros.node("probe", namespace="me")
    with Session([*ROS2, "launch", "nav_vlm", "sim.launch.py", *words]) as session:
        await_topics(ros, probe, session, subscribed="/me/image", published="/me/instruction")
        ros.until(lambda: [(tmp_path / name).is_file() for name in ("gz", "bridge")] == [True, True])
        status, output, errors = session.interrupt(all_of_it=False)
        assert status == 0, output + errors
        assert session.alive() == []
    world = str(tmp_path / "world/world.sdf")
    assert (tmp_path / "gz").read_text().splitlines() == ["sim", "-r", "-s", "--headless-rendering", world]
    assert (tmp_path / "gz_ended").is_file(), "it was killed before it had ended its server"
    profiles, *given = (tmp_path / "bridge").read_text().splitlines()
    assert Path(profiles).name == "fastdds.xml"
    assert "__ns:=/me" in given
