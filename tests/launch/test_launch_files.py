"""The launch files pass on what `bringup.plan` says: run against a recorder, so that no launch tools are needed."""

from __future__ import annotations

import os
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nav_vlm_node.errors import UserError
from nav_vlm_node.ros import bringup
from nav_vlm_sim.ros.camera_node import PARAMETERS as CAMERA_PARAMETERS
from nav_vlm_sim.ros.walk_tables import RIG, WALKER
from tests.launch.recorded import Context, recording

LAUNCH = Path(__file__).parents[2] / "launch"


@pytest.fixture(autouse=True)
def tools() -> Iterator[None]:
    with recording():
        yield


def parts(name: str) -> list[Any]:
    """The entities of a launch file's description."""
    description = runpy.run_path(str(LAUNCH / name))["generate_launch_description"]()
    entities: list[Any] = description.words[0]
    return entities


def of_kind(entities: list[Any], kind: str) -> list[Any]:
    return [entity for entity in entities if type(entity).__name__ == kind]


def started(name: str, **given: str) -> list[Any]:
    """What the file's functions start, with these arguments."""
    entities = parts(name)
    values = {each.words[0]: each.named["default_value"] for each in of_kind(entities, "DeclareLaunchArgument")}
    context = Context({**values, **given})
    return [action for each in of_kind(entities, "OpaqueFunction") for action in each.named["function"](context)]


def test_bringup_declares_exactly_the_table() -> None:
    declared = of_kind(parts("bringup.launch.py"), "DeclareLaunchArgument")
    assert [
        (each.words[0], each.named["default_value"], each.named["description"], tuple(each.named["choices"] or ()))
        for each in declared
    ] == [(argument.name, argument.default, argument.description, argument.choices) for argument in bringup.ARGUMENTS]


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"rig": "zed", "namespace": "me", "adapter": "1", "device": "cuda:0", "log_level": "debug", "respawn": "true"},
        {"role": "wearer", "rig": "d435i"},
        {"role": "gpu", "rig": "d435i", "use_sim_time": "true"},
    ],
)
def test_bringup_starts_the_plan(given: dict[str, str]) -> None:
    plan = bringup.plan(given)
    nodes = of_kind(started("bringup.launch.py", **given), "Node")
    assert len(nodes) == len(plan.nodes)
    for node, wanted in zip(nodes, plan.nodes, strict=True):
        named = node.named
        assert (named["package"], named["executable"], named["name"]) == ("nav_vlm", wanted.executable, wanted.name)
        assert named["namespace"] == wanted.namespace
        assert tuple(named["remappings"]) == wanted.remappings
        assert named["arguments"] == ["--ros-args", "--log-level", plan.log_level]
        assert named["respawn"] is plan.respawn
        (parameters,) = named["parameters"]
        assert {name: value.words[0] for name, value in parameters.items()} == wanted.parameters
        assert all(value.named["value_type"] is type(value.words[0]) for value in parameters.values())


def test_notes_are_logged() -> None:
    actions = started("bringup.launch.py", role="wearer", model="m")
    (note,) = of_kind(actions, "LogInfo")
    assert "model without effect" in note.named["msg"]


def test_a_bad_argument_ends_the_launch_with_its_line() -> None:
    with pytest.raises(UserError, match="no rig 'gopro'"):
        started("bringup.launch.py", rig="gopro")


def test_the_executables_are_installed() -> None:
    setup_cfg = (LAUNCH.parent / "setup.cfg").read_text(encoding="utf-8")
    for given in ({}, {"role": "wearer"}):
        for node in bringup.plan(given).nodes:
            assert f"    {node.executable} = nav_vlm_node.ros." in setup_cfg


def test_sim_takes_every_argument_of_bringup_and_passes_it_on() -> None:
    entities = parts("sim.launch.py")
    declared = {each.words[0]: each.named for each in of_kind(entities, "DeclareLaunchArgument")}
    names = [argument.name for argument in bringup.ARGUMENTS]
    assert set(names) <= set(declared)
    assert declared["rig"]["default_value"] == "sim"
    assert all(named["description"] for named in declared.values())
    (included,) = of_kind(entities, "IncludeLaunchDescription")
    assert [name for name, _ in included.named["launch_arguments"]] == names
    assert [value.words for _, value in included.named["launch_arguments"]] == [(name,) for name in names]
    assert included.words[0].words == (str(LAUNCH / "bringup.launch.py"),)


def test_sim_starts_the_camera_with_parameters_that_it_has() -> None:
    (camera,) = started("sim.launch.py", namespace="me", seed="7", use_sim_time="true")
    assert (camera.named["package"], camera.named["executable"]) == ("nav_vlm_sim", "sim_camera_node")
    assert camera.named["namespace"] == "me"
    (parameters,) = camera.named["parameters"]
    assert parameters.pop("use_sim_time") is True
    assert parameters["seed"] == 7
    by_name = {spec.name: spec for spec in CAMERA_PARAMETERS}
    for name, value in parameters.items():
        assert by_name[name].objection(value) is None


def test_sim_starts_a_walk_whose_end_is_the_launchs() -> None:
    time, rig, walker = started("sim.launch.py", plan="7", walk="1", walker="hasty", lockstep="false", namespace="me")
    assert (type(time).__name__, time.words) == ("SetLaunchConfiguration", ("use_sim_time", "true"))
    for node, executable, table in ((rig, "sim_rig_node", RIG), (walker, "walker_node", WALKER)):
        named = node.named
        assert (named["package"], named["executable"], named["namespace"]) == ("nav_vlm_sim", executable, "me")
        assert [type(action).__name__ for action in named["on_exit"]] == ["Shutdown"]
        (parameters,) = named["parameters"]
        plan = parameters.pop("plan")
        assert (plan.words, plan.named) == (("7",), {"value_type": str}), "a seed is a string to the nodes"
        by_name = {spec.name: spec for spec in table}
        assert all(by_name[name].objection(value) is None for name, value in parameters.items())
        assert parameters["seed"] == 7
    assert (parameters["walk"], parameters["walker"], parameters["lockstep"]) == (1, "hasty", False)
    _, rig, _ = started("sim.launch.py", plan="rooms.yaml")
    assert rig.named["parameters"][0]["seed"] == 0


def test_sim_takes_no_other_word_for_what_is_chosen() -> None:
    """`lockstep:=True` would be taken for false: the launch tools refuse what is not among the choices."""
    declared = {each.words[0]: each.named for each in of_kind(parts("sim.launch.py"), "DeclareLaunchArgument")}
    for name in ("headless", "lockstep"):
        assert tuple(declared[name]["choices"]) == ("true", "false")
    assert tuple(declared["walker"]["choices"]) == next(spec.choices for spec in WALKER if spec.name == "walker")
    for named in declared.values():
        assert named["default_value"] in (named.get("choices") or [named["default_value"]])


@pytest.mark.parametrize("given", [{"plan": "7", "walk": "first"}, {"seed": "x"}, {"rate": "fast"}])
def test_sim_names_what_is_no_number(given: dict[str, str]) -> None:
    name = list(given)[-1]
    with pytest.raises(UserError, match=f"{name}:={given[name]}: give a number"):
        started("sim.launch.py", **given)


def test_sim_starts_gazebo_and_its_bridge_in_simulated_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    profiles = "FASTRTPS_DEFAULT_PROFILES_FILE"
    monkeypatch.setenv(profiles, "")  # so that it is taken back what the launch sets
    for name in (profiles, "FASTDDS_DEFAULT_PROFILES_FILE", "FASTDDS_BUILTIN_TRANSPORTS"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "world.sdf").touch()
    (tmp_path / "bridge.yaml").touch()
    for headless in ("true", "false"):
        time, gazebo, bridge = started(
            "sim.launch.py", simulator="gazebo", world=str(tmp_path), headless=headless, namespace="me"
        )
        assert (type(time).__name__, time.words) == ("SetLaunchConfiguration", ("use_sim_time", "true"))
        command = gazebo.named["cmd"]
        assert command[:3] == ["gz", "sim", "-r"]
        assert command[-1] == str(tmp_path / "world.sdf")
        assert (command[3:-1] == ["-s", "--headless-rendering"]) == (headless == "true")
        assert [type(action).__name__ for action in gazebo.named["on_exit"]] == ["Shutdown"]
        assert float(gazebo.named["sigterm_timeout"]) > 10, "it waits for its window and its server, five seconds each"
        assert Path(os.environ[profiles]).name == "fastdds.xml", "the bridge's pictures need room"
        assert (bridge.named["package"], bridge.named["executable"]) == ("ros_gz_bridge", "parameter_bridge")
        assert bridge.named["namespace"] == "me"
        assert bridge.named["parameters"] == [{"config_file": str(tmp_path / "bridge.yaml"), "use_sim_time": True}]


def test_simulated_time_is_set_before_nav_vlm_is_started() -> None:
    kinds = [type(each).__name__ for each in parts("sim.launch.py")]
    assert kinds.index("OpaqueFunction") < kinds.index("IncludeLaunchDescription")


def test_gazebo_without_a_world_ends_the_launch_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no world.sdf; write a world with nav-vlm-sim gazebo"):
        started("sim.launch.py", simulator="gazebo")
    (tmp_path / "world.sdf").touch()
    with pytest.raises(UserError, match=r"has no bridge.yaml"):
        started("sim.launch.py", simulator="gazebo", world=str(tmp_path))
