"""replay.launch.py: the node by simulated time, and the player beside it; without the launch tools."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nav_vlm_node.ros import bringup
from nav_vlm_node.ros.camera_tables import PLAY
from tests.launch.recorded import recording
from tests.launch.test_launch_files import LAUNCH, of_kind, parts, started


@pytest.fixture(autouse=True)
def tools() -> Iterator[None]:
    with recording():
        yield


def test_it_takes_every_argument_of_bringup_and_passes_it_on() -> None:
    entities = parts("replay.launch.py")
    declared = {each.words[0]: each.named for each in of_kind(entities, "DeclareLaunchArgument")}
    names = [argument.name for argument in bringup.ARGUMENTS]
    assert set(declared) == {*names, "bag", "play_rate"}
    assert declared["use_sim_time"]["default_value"] == "true"
    assert all(named["description"] for named in declared.values())
    (included,) = of_kind(entities, "IncludeLaunchDescription")
    assert [name for name, _ in included.named["launch_arguments"]] == names
    assert [value.words for _, value in included.named["launch_arguments"]] == [(name,) for name in names]
    assert included.words[0].words == (str(LAUNCH / "bringup.launch.py"),)


@pytest.mark.parametrize("given", ["walk", "2024_05_01"])  # YAML takes the second for a number
def test_it_starts_the_player_with_parameters_that_it_has(given: str) -> None:
    (player,) = started("replay.launch.py", namespace="me", bag=given, play_rate="0.5")
    assert (player.named["package"], player.named["executable"]) == ("nav_vlm", "play_node")
    assert player.named["namespace"] == "me"
    assert type(player.named["on_exit"]).__name__ == "Shutdown"
    (parameters,) = player.named["parameters"]
    bag = parameters["bag"]
    assert (type(bag).__name__, bag.words, bag.named) == ("ParameterValue", (given,), {"value_type": str})
    assert parameters["rate"] == 0.5
    parameters["bag"] = given
    by_name = {spec.name: spec for spec in PLAY}
    for name, value in parameters.items():
        assert by_name[name].objection(value) is None


def test_the_executable_is_installed() -> None:
    setup_cfg = (LAUNCH.parent / "setup.cfg").read_text(encoding="utf-8")
    assert "    play_node = nav_vlm_node.ros.play_node:main" in setup_cfg
