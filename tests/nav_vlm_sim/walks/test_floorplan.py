"""Plans by hand: read, checked, and built as they say."""

from __future__ import annotations

import functools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from nav_vlm_node.errors import UserError
from nav_vlm_sim.walks import floorplan
from nav_vlm_sim.walks.building import build
from nav_vlm_sim.walks.episode import Stage, run
from nav_vlm_sim.walks.floorplan import CLASSES, WALL, plan_from_json, plan_to_json, read_plan
from nav_vlm_sim.walks.guides import OracleGuide
from nav_vlm_sim.walks.space import Space, length_of, solids_of
from nav_vlm_sim.walks.walker import BODY
from tests.nav_vlm_sim.walks.telling import untold

PLANS = Path(floorplan.__file__).with_name("plans")
SMALL: dict[str, Any] = {
    "name": "small office",
    "rooms": [{"name": "corridor", "x": [0, 12], "y": [0, 2.2]}, {"name": "office", "x": [0, 5], "y": [2.4, 6.4]}],
    "walls": [
        {"kind": "open door", "room": "office", "wall": "south", "at": 2.5, "to": "corridor"},
        {"kind": "exit", "room": "corridor", "wall": "east", "at": 1.1},
        {"kind": "exit sign", "room": "corridor", "wall": "south", "at": 2.5, "arrow": "left"},
    ],
    "things": [{"kind": "chair", "x": 1.2, "y": 5.5, "yaw": 90}, {"kind": "person", "x": 9, "y": 1.1, "speed": 0.8}],
    "walks": [{"x": 3.0, "y": 4.5, "yaw": 0, "goal": "exit", "class": "B"}],
}


def changed(*path: Any, to: Any) -> dict[str, Any]:
    found: Any = yaml.safe_load(yaml.safe_dump(SMALL))
    part = found
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = to
    return dict(found)


def test_a_plan_is_read_as_it_is_written(tmp_path: Path) -> None:
    file = tmp_path / "small.yaml"
    file.write_text(yaml.safe_dump(SMALL))
    plan = read_plan(file)
    assert plan.name == "small office"
    assert plan.walks[0].kind == "B"
    assert plan_from_json(plan_to_json(plan)) == plan


@pytest.mark.parametrize(
    ("broken", "line"),
    [
        (changed("rooms", to=[]), "it has no rooms"),
        (changed("rooms", 0, "x", to=[5]), r"rooms\[0\].x: give from and to"),
        (changed("rooms", 1, "y", to=[2.3, 6.4]), "closer than a wall of 0.2 metres"),
        (changed("rooms", 1, "name", to="corridor"), "two rooms are called 'corridor'"),
        (changed("walls", 0, "to", to="attic"), "`to` names no room"),
        (changed("walls", 0, "at", to=9.0), "at 9 is not on it"),
        (changed("walls", 2, "arrow", to="up"), "give an arrow, left, right, ahead"),
        (changed("walls", 1, "kind", to="portal"), "no 'portal' is on walls"),
        (changed("things", 0, "kind", to="dragon"), "no 'dragon' stands on floors"),
        (changed("things", 0, "x", to=40), "is in no room"),
        (changed("things", 0, "x", to="left"), r"things\[0\].x: 'left' is no number"),
        (changed("walks", 0, "goal", to="moon"), "no goal 'moon'; use exit, lift"),
        (changed("walks", 0, "class", to="Z"), "no class 'Z'; use A, B, C"),
        (changed("walks", 0, "x", to=-3), "begins in no room"),
        (
            changed("walks", 0, to={**SMALL["walks"][0], "x": 9.3, "y": 1.0}),
            "begins where a person stands; give one 0.5",
        ),
        (changed("things", 1, "speed", to=-0.8), "person at 9, 1.1: speed -0.8: give 0 to 2 m/s"),
        (changed("things", 1, "speed", to=2.1), "speed 2.1: give 0 to 2 m/s"),
        (changed("things", 0, "speed", to=0.5), "chair at 1.2, 5.5: speed 0.5, but people alone walk"),
        (
            changed("walls", 2, to={"kind": "lift", "room": "office", "wall": "south", "at": 3.3}),
            "lift and open door overlap on the south wall of 'office', at 3.3 and 2.5",
        ),
        (
            changed("walls", 2, to={"kind": "door", "room": "corridor", "wall": "north", "at": 2.0}),
            "door and open door overlap on the north wall of 'corridor'",
        ),
        (
            changed("walls", 1, to={**SMALL["walls"][2], "at": 2.9}),
            "exit sign and exit sign overlap on the south wall of 'corridor'",
        ),
        (changed("colour", to="red"), "'colour' is not known"),
        (changed("height", to=1.0), "height 1: give 2.5 to 6"),
    ],
)
def test_what_is_wrong_is_named(broken: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError, match=line) as raised:
        plan_from_json(broken)
    assert "\n" not in str(raised.value)


def test_nobody_begins_in_a_thing() -> None:
    for x, y in ((1.2, 5.5), (1.2, 5.1)):
        plan = plan_from_json(changed("walks", 0, to={**SMALL["walks"][0], "x": x, "y": y}))
        with pytest.raises(
            UserError, match=rf"'small office': walk from 1.2, {y} begins in a chair; give a place 0.25"
        ):
            Stage(plan)
    Stage(plan_from_json(changed("walks", 0, to={**SMALL["walks"][0], "x": 1.2, "y": 4.9})))


def test_files_that_are_no_plans(tmp_path: Path) -> None:
    file = tmp_path / "plan.yaml"
    with pytest.raises(UserError, match="give the YAML of a floor plan"):
        read_plan(file)
    file.write_bytes(b"\xff\xfe: [")
    with pytest.raises(UserError, match="is no YAML"):
        read_plan(file)
    file.write_text("- 1\n")
    with pytest.raises(UserError, match="it is no mapping"):
        read_plan(file)


trees = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(["office", "chair", "exit", "east"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["rooms", "walls", "things", "walks", "name", "x", "y", "kind", "at", "wall", "room", "goal"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(trees)
def test_what_is_no_plan_is_one_line(found: Any) -> None:
    with pytest.raises(UserError) as raised:
        plan_from_json(found)
    assert "\n" not in str(raised.value)


def test_a_built_plan_has_walls_where_it_says_and_gaps_at_open_doors() -> None:
    building = build(plan_from_json(SMALL))
    space = Space(solids_of(building, leave_out=building.scene.speeds))
    assert space.in_sight((2.5, 3.5), (2.5, 1.0))  # through the door
    assert not space.in_sight((4.5, 3.5), (4.5, 1.0))
    assert space.clear((2.5, 3.4), (2.5, 1.2), 0.26)
    assert not space.clear((1.2, 4.2), (1.2, 6.2), 0.26)  # the chair
    assert space.nearest(11.9, 1.1)[0] == pytest.approx(0.1, abs=0.03)
    for x in (0.5, 4.0, 7.0):
        gap, solid = space.nearest(x, 2.2 + WALL / 2)
        assert gap == pytest.approx(0)
        assert solid.kind == "wall"
    assert build(plan_from_json(SMALL)).scene.items[0].x == building.scene.items[0].x
    assert list(building.scene.speeds.values()) == [0.8]


@functools.cache
def small_space() -> Space:
    return Space(solids_of(build(plan_from_json(SMALL))))


@settings(deadline=None)
@given(st.floats(-1, 13), st.floats(-1, 7), st.floats(0.2, 3))
def test_what_is_around_answers_as_all_does(x: float, y: float, reach: float) -> None:
    space = small_space()
    near = space.around(x, y, reach)
    here = np.array([[x, y]])
    assert near.gaps(here).min() == space.gaps(here).min() == space.nearest(x, y)[0]
    assert (space.gaps(here) <= reach).sum() <= len(near.solids)


BY_HAND = sorted(PLANS.glob("*.yaml"))


@pytest.mark.parametrize("file", BY_HAND, ids=lambda file: file.stem)
def test_plans_by_hand_are_walked_and_of_the_class_that_they_say(file: Path) -> None:
    plan = read_plan(file)
    stage = Stage(plan)
    assert {"A", "B", "C"} == {walk.kind for walk in plan.walks}
    for number, walk in enumerate(plan.walks):
        assert run(stage, walk, OracleGuide(), number).arrived, walk
        before = [(i.x + 0.3 * math.cos(i.yaw), i.y + 0.3 * math.sin(i.yaw)) for i in stage.goals(walk.goal)]
        seen = any(stage.space.clear((walk.x, walk.y), to, 0.001) for to in before)
        assert seen == (walk.kind == "A"), walk
        if walk.kind == "B":
            assert untold(stage, stage.way((walk.x, walk.y), walk.goal), walk.goal) == [], walk


@pytest.mark.parametrize("file", BY_HAND, ids=lambda file: file.stem)
def test_plans_by_hand_have_people_and_two_walks_of_every_class(file: Path) -> None:
    plan = read_plan(file)
    kinds = [walk.kind for walk in plan.walks]
    assert all(kinds.count(kind) >= 2 for kind in CLASSES)
    assert any(thing.kind == "person" for thing in plan.things)
    stage = Stage(plan)
    for walk in plan.walks:
        assert length_of(stage.way((walk.x, walk.y), walk.goal)) > 1.0, walk
        assert all(math.dist((walk.x, walk.y), (t.x, t.y)) > 2 * BODY for t in plan.things if t.speed), walk


def test_there_are_five() -> None:
    assert [file.stem for file in BY_HAND] == ["home", "hospital_ward", "office_corridor", "school", "station_hall"]
