"""The map of a walk: everything where it is, and directions the right way round."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nav_vlm_sim.walks.episode import Episode, Stage
from nav_vlm_sim.walks.floorplan import FloorPlan, OnWall, Room, Thing, Walk
from nav_vlm_sim.walks.maps import walk_map
from nav_vlm_sim.walks.walker import Moment
from tests.nav_vlm_sim.walks.made_up import turn

PLAN = FloorPlan(
    name="a <room>",
    rooms=(Room(name="one", x=(0.0, 8.0), y=(0.0, 4.0)),),
    walls=(
        OnWall(kind="exit", room="one", wall="east", at=2.0),
        OnWall(kind="exit sign", room="one", wall="north", at=6.0, arrow="right"),
    ),
    things=(Thing(kind="box", x=3.0, y=3.0),),
    walks=(Walk(x=1.0, y=1.0, yaw=0.0, goal="exit"),),
)


@pytest.fixture(scope="module")
def stage() -> Stage:
    return Stage(PLAN)


def episode(*, arrived: bool = True) -> Episode:
    track = [Moment(0.5 * k, 1.0 + 0.4 * k, 1.0, 0.0) for k in range(10)]
    return Episode(PLAN.name, 0, PLAN.walks[0], arrived=arrived, track=track, reference=[(1.0, 1.0), (7.0, 2.0)])


def drawn(stage: Stage, walk: Episode) -> ElementTree.Element:
    return ElementTree.fromstring(walk_map(stage, walk))


def numbers(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", text)]


def css(svg: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [element for element in svg.iter() if name in element.get("class", "").split()]


def test_it_says_what_it_shows_and_escapes_names(stage: Stage) -> None:
    svg = drawn(stage, episode())
    assert svg.get("role") == "img"
    assert "a <room>" in svg.get("aria-label", "")
    assert "on the way to the exit" in svg.get("aria-label", "")
    assert ", arrived" in svg.get("aria-label", "")
    assert "not arrived" in drawn(stage, episode(arrived=False)).get("aria-label", "")


def test_walls_things_signs_and_the_goal_are_there(stage: Stage) -> None:
    svg = drawn(stage, episode())
    kinds = [title.text for element in svg for title in element.findall("title")]
    assert kinds.count("wall") >= 4
    assert kinds.count("box") == 1
    assert len(css(svg, "floor")) == 1
    assert [text.text for text in css(svg, "sign") if text.tag == "text"] == ["exit →"]
    assert [text.text for text in css(svg, "goal") if text.tag == "text"] == ["exit"]


def test_east_is_right_and_north_is_up(stage: Stage) -> None:
    svg = drawn(stage, episode())
    way = numbers(css(svg, "shortest")[0].get("points", ""))
    assert way[2] > way[0]
    assert way[3] < way[1]
    (end,) = css(svg, "end")
    assert "good" in end.get("class", "")
    assert float(end.get("cx", "nan")) == pytest.approx(numbers(css(svg, "walked")[0].get("points", ""))[-2])
    (end,) = css(drawn(stage, episode(arrived=False)), "end")
    assert "bad" in end.get("class", "")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(yaw=st.floats(-3.1, 3.1), told=st.floats(-3.1, 3.1))
def test_arrows_point_where_was_told(stage: Stage, yaw: float, told: float) -> None:
    walk = episode()
    walk.turns = [turn(direction=told, wanted=math.nan)]
    walk.turns[0].yaw = yaw
    svg = drawn(stage, walk)
    x0, y0, x1, y1, *_ = numbers(css(svg, "told")[0].get("d", ""))
    heading = math.atan2(-(y1 - y0), x1 - x0)
    assert math.cos(heading - (yaw + told)) == pytest.approx(1.0, abs=1e-3)
    assert css(svg, "wanted") == []


def test_questions_reversals_and_people(stage: Stage) -> None:
    walk = episode()
    walk.turns = [turn(), turn(direction=0.5, wanted=-0.5, reversal=True), turn(direction=math.nan)]
    walk.turns[1].people = [[5.0, 2.0, 0.0]]
    svg = drawn(stage, walk)
    asked = css(svg, "ask")
    assert [ask.get("data-turn") for ask in asked] == ["0", "1", "2"]
    assert ["wrong" in ask.get("class", "") for ask in asked] == [False, True, False]
    assert [len(css(ask, "person")) for ask in asked] == [0, 1, 0]
    assert [len(css(ask, "told")) for ask in asked] == [1, 1, 0]


def test_everything_walked_is_on_the_sheet(stage: Stage) -> None:
    svg = drawn(stage, episode())
    _, _, width, height = numbers(svg.get("viewBox", ""))
    for name in ("walked", "shortest", "wall", "thing", "floor"):
        for element in css(svg, name):
            points = numbers(element.get("points", ""))
            assert all(0 <= x <= width for x in points[::2])
            assert all(0 <= y <= height for y in points[1::2])


def test_a_walk_that_never_began(stage: Stage) -> None:
    nothing = Episode(PLAN.name, 0, PLAN.walks[0])
    svg = drawn(stage, nothing)
    assert css(svg, "walked") == css(svg, "shortest") == css(svg, "ask") == []
    assert "0 questions" in svg.get("aria-label", "")
