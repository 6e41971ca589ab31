"""What the walker does with an instruction, in a bare room."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nav_vlm_node.instruction import NAN, Action, Step
from nav_vlm_node.score import wrap
from nav_vlm_sim.walks.building import build
from nav_vlm_sim.walks.crowd import Crowd, Person
from nav_vlm_sim.walks.floorplan import FloorPlan, Room, Thing
from nav_vlm_sim.walks.space import Space, solids_of
from nav_vlm_sim.walks.walker import BODY, HARD, LEG, MANNERS, SLOW, Manner, Touches, Walker

EXACT = replace(MANNERS["average"], over_turn=(0.0, 0.0), length=0.0, veer=0.0, missed=0.0)
ROOM = Room(name="room", x=(0.0, 8.0), y=(0.0, 6.0))


def walker(
    x: float, y: float, degrees: float, *things: Thing, manner: Manner = EXACT, people: tuple[Person, ...] = ()
) -> Walker:
    building = build(FloorPlan(name="bare", rooms=(ROOM,), things=things))
    space = Space(solids_of(building))
    return Walker(
        manner, space, Crowd(building, list(people)), np.random.default_rng(1), x, y, math.radians(degrees)
    )  # fmt: skip


def move(distance: float, bearing: float = 0.0) -> Step:
    return Step(Action.MOVE, bearing, distance)


def test_a_turn_and_a_leg() -> None:
    body = walker(2, 3, 0)
    body.obey((Step(Action.TURN, math.pi / 2), move(1.5)))
    assert (body.x, body.y) == pytest.approx((2, 4.5))
    assert body.track[-1].time == pytest.approx(body.time)
    assert body.time >= 1.5 / body.manner.speed


def test_what_is_obeyed_is_what_is_heard() -> None:
    """Bearings are said in steps of 5 degrees and distances in steps of half a metre, and less than that not at all."""
    body = walker(4, 3, 0)
    body.obey((Step(Action.TURN, math.radians(43)), move(1.3)))
    assert body.yaw == pytest.approx(math.radians(45))
    assert math.dist((4, 3), (body.x, body.y)) == pytest.approx(1.5)
    body = walker(4, 3, 0)
    body.obey((Step(Action.TURN, math.radians(2)),))
    assert body.yaw == 0.0


def test_left_is_counterclockwise() -> None:
    body = walker(4, 3, 0)
    body.turn(math.radians(30))
    assert body.yaw == pytest.approx(math.radians(30))


def test_no_leg_is_longer_than_two_metres() -> None:
    body = walker(1, 3, 0)
    body.obey((move(5),))
    assert body.x == pytest.approx(1 + LEG)


def test_a_second_leg_needs_the_first_one_whole() -> None:
    body = walker(1, 3, 0)
    body.obey((move(1), Step(Action.TURN, math.pi / 2), move(1)))
    assert (body.x, body.y) == pytest.approx((2, 4))
    body = walker(1, 3, 0)
    body.obey((move(3), Step(Action.TURN, math.pi / 2), move(1)))
    assert (body.x, body.y) == pytest.approx((3, 3))


@settings(max_examples=20, deadline=None)
@given(st.floats(math.radians(20), math.radians(150)), st.sampled_from([-1, 1]))
def test_people_turn_too_far_never_too_little(angle: float, side: int) -> None:
    over = []
    for seed in range(30):
        body = walker(4, 3, 0, manner=replace(EXACT, over_turn=MANNERS["average"].over_turn))
        body.rng = np.random.default_rng(seed)
        body.turn(side * angle)
        over.append(wrap(side * body.yaw - angle))
    assert min(over) >= -1e-9
    assert np.mean(over) == pytest.approx(math.radians(17), abs=math.radians(6))


def test_a_wall_is_found_by_the_cane_before_it_is_touched() -> None:
    body = walker(6, 3, 0)
    body.walk(LEG)
    assert body.x < 8 - BODY
    assert (body.touches.collisions, body.touches.contacts) == (0, 0)


def test_what_the_cane_misses_is_met_at_full_speed() -> None:
    table = Thing(kind="table", x=4.0, y=3.0)
    body = walker(2, 3, 0, table, manner=replace(EXACT, missed=1.0))
    assert not body.walk(LEG)
    assert body.touches == Touches(collisions=1), "what is touched is no near miss"
    body = walker(2, 3, 0, table, manner=replace(EXACT, missed=1.0))
    gap = body.space.nearest(2, 3)[0]
    body.walk(LEG, [Step(Action.CAUTION, 0.0, gap, "table")])
    assert body.touches.collisions == 0  # warned, one walks slowly
    assert body.touches.contacts == 1
    assert SLOW < HARD


def test_what_is_passed_closely_is_a_near_miss_and_what_is_touched_then_is_none() -> None:
    """A person beside the way: passed at 0.05 metres; walked up to, and then into."""
    aside = Person(item=0, x=3.0, y=3.0 + 2 * BODY + 0.05, heading=0.0, pace=0.0, left=0.0, length=0.0)
    body = walker(2, 3, 0, people=(aside,))
    body.walk(LEG)
    assert body.touches == Touches(near_misses=1)
    body.walk(LEG)
    assert body.touches == Touches(near_misses=1), "once for each passing"
    ahead = replace(aside, y=3.0)
    body = walker(2, 3, 0, people=(ahead,), manner=replace(EXACT, missed=1.0))
    body.walk(ahead.x - 2 - 2 * BODY - 0.05)
    assert body.touches == Touches(near_misses=1)
    body.walk(LEG)
    assert body.touches.near_misses == 0
    assert body.touches.collisions + body.touches.contacts == 1


def test_something_in_the_way_is_gone_around() -> None:
    body = walker(2, 3.1, 0, Thing(kind="box", x=4.0, y=3.0))
    for _ in range(12):
        goal = math.atan2(3.0 - body.y, 7.0 - body.x)
        body.obey((Step(Action.TURN, wrap(goal - body.yaw)), move(math.dist((body.x, body.y), (7.0, 3.0)))))
        if math.dist((body.x, body.y), (7.0, 3.0)) < 0.7:
            break
    else:
        pytest.fail(f"stuck at {body.x:.2f}, {body.y:.2f}")


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.lists(st.tuples(st.floats(-180, 180), st.floats(0.2, 4)), max_size=6))
def test_nobody_walks_through_anything(seed: int, legs: list[tuple[float, float]]) -> None:
    things = (Thing(kind="box", x=5.0, y=3.0), Thing(kind="table", x=2.0, y=4.6), Thing(kind="chair", x=6.5, y=1.2))
    body = walker(3, 2, 0, *things, manner=MANNERS["hasty"])
    body.rng = np.random.default_rng(seed)
    for degrees, distance in legs:
        body.obey((Step(Action.TURN, math.radians(degrees)), move(distance)))
    for moment in body.track:
        assert body.space.nearest(moment.x, moment.y)[0] >= BODY - 1e-6


def test_what_is_only_located_is_gone_towards() -> None:
    body = walker(2, 3, 0)
    body.obey((Step(Action.LOCATE, math.pi / 2, 1.0, "door"),))
    assert (body.x, body.y) == pytest.approx((2, 4))


def test_an_answer_without_a_direction_moves_nobody() -> None:
    body = walker(2, 3, 0)
    body.obey((Step(Action.NOT_VISIBLE, landmark="exit"), Step(Action.CAUTION, 0.0, 1.0, "chair")))
    body.obey((Step(Action.TURN, NAN),))
    assert (body.x, body.y, body.yaw) == (2, 3, 0)


def test_they_stop_where_the_cane_finds_the_goal() -> None:
    body = walker(2, 3, 0)
    body.there = lambda x, y: x > 3
    body.obey((move(2),))
    assert 3 < body.x < 3.2


def test_who_walks_waits_for_the_wearer_and_then_turns_back() -> None:
    person = Person(item=0, x=4.0, y=3.0, heading=math.pi, pace=1.0, left=3.0, length=3.0)
    body = walker(2, 3, 0, people=(person,))
    body.wait(2.0)
    assert 2 + 2 * BODY < person.x < 3.5
    assert body.touches.collisions == 0
    waiting, later = person.x, []
    for _ in range(40):
        body.wait(0.1)
        later.append(person.x)
    assert later[5] == waiting
    assert max(later) == pytest.approx(4.0)  # where they began


def test_a_person_who_is_run_into_is_a_collision() -> None:
    person = Person(item=0, x=4.0, y=3.0, heading=0.0, pace=0.0, left=0.0, length=0.0)
    body = walker(2, 3, 0, people=(person,), manner=replace(EXACT, missed=1.0))
    body.walk(LEG)
    assert body.touches == Touches(collisions=1)


@pytest.mark.parametrize(("degrees", "goes"), [(0, False), (60, False), (90, True), (140, True), (180, True)])
def test_somebody_at_their_side_keeps_nobody_there(degrees: float, goes: bool) -> None:
    """Who has come to touch the wearer is in the way of those legs alone that lead to them."""
    person = Person(item=0, x=2.0 + 2 * BODY, y=3.0, heading=0.0, pace=0.0, left=0.0, length=0.0)
    body = walker(2, 3, degrees, people=(person,))
    assert body.walk(1.0) is goes
    assert body.touches.collisions == 0
