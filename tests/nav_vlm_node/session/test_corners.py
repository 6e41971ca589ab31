"""Whoever stands beside a door, between wall and leaf, is led back and round to the other side of where they came."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from nav_vlm_node.instruction import Action, Instruction, Status, Step
from nav_vlm_node.replies import BLURRED
from nav_vlm_node.session import OPEN_DOOR, TRIES, Guidance, Place, Session
from nav_vlm_node.session.clues import BEFORE, Clue
from nav_vlm_node.session.sightings import Sightings
from nav_vlm_node.session.trail import apart, beyond, heading_to
from nav_vlm_node.session.ways import AFAR, BACK, OVER, round_about
from tests.nav_vlm_node.session.answers import HERE, MISSING, NOTHING, door, leg_from, moves, said, turn_of, way

DOOR = Place(4.0, 0.0, 0.0)
CORNER = Place(3.3, 0.6, 0.0)  # to the left of the way to the door
GOAL = said(Status.OK, *way(0, 4.0, "exit"))


def stuck(session: Session, seen: Guidance, place: Place = CORNER) -> Guidance:
    """What is told in a corner where leg after leg ends at once."""
    for _ in range(8):
        if not seen.instruction.steps or abs(turn_of(seen)) > math.radians(120):
            break
        seen = session.heed(NOTHING, place)
    return seen


@pytest.mark.parametrize("first", [door(0, 4.0), GOAL])
@pytest.mark.parametrize("side", [1, -1])
def test_out_of_a_corner_it_goes_back_and_over_and_looks_from_there(first: Instruction, side: int) -> None:
    session = Session(goal="exit")
    corner = Place(CORNER.x, side * CORNER.y, 0.0)
    told = stuck(session, session.heed(first, HERE), corner)
    assert moves(told)
    assert told.searching
    back = leg_from(corner, told)
    assert (back.x, back.y) == pytest.approx((corner.x - BACK, corner.y))
    over = leg_from(back, session.heed(NOTHING, back))
    ahead = DOOR.x if first is not GOAL else corner.x  # a goal lies beyond what is in the way
    assert (over.x, over.y) == pytest.approx((ahead - AFAR, -side * OVER))
    facing = session.heed(NOTHING, over)
    assert not moves(facing)
    assert turn_of(facing) == pytest.approx(math.remainder(heading_to(over, DOOR) - over.yaw, math.tau))
    there = leg_from(over, facing)
    on = leg_from(there, session.heed(NOTHING, there))
    assert apart(on, DOOR) < apart(there, DOOR) - 0.5, "and on from there"
    if first is not GOAL:
        before = beyond(DOOR, heading_to(over, DOOR) + math.pi, BEFORE)
        assert (on.x, on.y) == pytest.approx((before.x, before.y)), "in line with the new way through it"


def test_the_leaf_tells_on_which_side_there_is_room() -> None:
    """Whoever stands in line with a door and its leaf goes round the leaf, not into its corner."""
    session = Session(goal="exit")
    session.heed(said(Status.OK, Step(Action.CAUTION, math.radians(-8), 3.3, "open door"), *way(0, 6.0, "exit")), HERE)
    in_line = Place(3.0, 0.02, 0.0)
    back = leg_from(in_line, stuck(session, session.heed(NOTHING, in_line), in_line))
    over = leg_from(back, session.heed(NOTHING, back))
    assert over.y == pytest.approx(OVER), "the leaf hangs on the right"


def test_no_way_round_leads_to_what_was_warned_of() -> None:
    session = Session(goal="exit")
    session.heed(door(0, 4.0), HERE)
    stairs = said(Status.NOT_VISIBLE, MISSING, Step(Action.CAUTION, math.radians(180), 0.8, "stairs"))
    told = session.heed(stairs, CORNER)
    for _ in range(12):
        if moves(told):
            ahead = leg_from(CORNER, told)
            assert abs(math.remainder(ahead.yaw - math.pi, math.tau)) > math.radians(30), "the stairs are behind"
        told = session.heed(NOTHING, CORNER)


def test_what_is_not_reached_by_two_ways_round_is_given_up() -> None:
    session = Session(goal="exit")
    session.heed(door(0, 4.0), HERE)
    rounds, place = 0, CORNER
    for _ in range(60):
        if session._going is None and rounds:
            break
        session.heed(NOTHING, place)
        rounds += session._detour._looks
    assert 1 <= rounds <= 2
    assert session._going is None


def test_it_goes_back_along_the_look_and_not_from_where_the_wearer_happened_to_be() -> None:
    session = Session(goal="exit")
    session.heed(NOTHING, Place(0.0, 3.0, 0.0))
    told = stuck(session, session.heed(door(0, 4.0), HERE))
    back = leg_from(CORNER, told)
    assert (back.x, back.y) == pytest.approx((CORNER.x - BACK, CORNER.y))


def test_a_door_that_was_only_asked_for_is_gone_round_to_from_where_the_wearer_was() -> None:
    session = Session(goal="exit")
    session.heed(NOTHING, HERE, lambda _: said(Status.OK, *way(0, 4.0, OPEN_DOOR)))
    (session._going,) = session._leads._clues
    back = leg_from(CORNER, stuck(session, session.heed(NOTHING, CORNER)))
    assert (back.x, back.y) == pytest.approx((CORNER.x - BACK, CORNER.y))


def test_where_the_way_is_lost_nobody_goes_round_to_it() -> None:
    session = Session(goal="exit")
    stuck(session, session.heed(door(0, 4.0), HERE))
    assert session._detour.under_way
    session._going = None
    session.heed(NOTHING, CORNER)
    assert not session._detour.under_way


def test_between_two_ways_round_what_else_there_is_is_tried() -> None:
    session = Session(goal="exit")
    session.heed(door(0, 4.0), HERE)
    ends = []
    for k in range(20):
        session.heed(NOTHING, CORNER)
        if session._detour._looks:
            ends.append(k)
    assert len(ends) == 2
    assert ends[1] - ends[0] >= TRIES + 2


def test_a_room_that_was_left_is_no_place_to_come_from() -> None:
    session = Session(goal="exit")
    session.heed(door(0, 1.0), HERE)
    behind = Place(2.4, 0.0, 0.0)
    session.heed(NOTHING, behind)
    assert session._entered == behind
    assert session._trail.farthest(behind) is None


def test_a_way_round_does_not_begin_behind_where_the_wearer_came_from() -> None:
    aim = Clue(OPEN_DOOR, 1.3, 0.0)
    back, over = round_about(HERE, Place(1.2, 0.4, 0.0), aim, None)
    assert (back.x, over.x) == pytest.approx((1.2 - BACK, 0.0))


def test_the_farthest_look_at_a_thing_is_where_one_comes_from() -> None:
    seen = Sightings()
    for eye, name in ((Place(1.0, 0.0, 0.0), OPEN_DOOR), (HERE, OPEN_DOOR), (Place(-9.0, 0.0, 0.0), "exit sign")):
        seen.add(name, DOOR, eye)
    assert seen.from_farthest(Clue(OPEN_DOOR, 4.2, 0.0), CORNER) == HERE
    assert seen.from_farthest(Clue(OPEN_DOOR, 9.0, 0.0), CORNER) is None
    assert seen.from_farthest(Clue(OPEN_DOOR, 4.2, 0.0), Place(0.5, 0.0, 0.0)) is None, "from here nobody is led back"


def test_a_door_that_was_passed_may_be_gone_round_to_another_time() -> None:
    clue = Clue(OPEN_DOOR, 1.0, 0.0, detours=4)
    clue.leave_behind()
    assert clue.detours == 0


def test_what_was_not_done_yet_has_met_nothing() -> None:
    """Who asks again at once was not stopped by anything."""
    for undone in (True, False):
        session = Session(goal="exit")
        session.heed(GOAL, HERE)
        if undone:
            session.undone()
        session.heed(GOAL, HERE)
        assert session._trail.stopped == (not undone)


def test_a_heading_that_shows_nothing_is_not_turned_to_again() -> None:
    session = Session(goal="exit")
    for degrees in (-112, -46, 30):
        session.heed(NOTHING, Place(0.0, 0.0, math.radians(degrees)))
    wall = Place(0.0, 0.0, math.radians(101))
    blurred = replace(NOTHING, status=Status.POOR_IMAGE, steps=(), text=BLURRED)
    assert session.heed(blurred, wall).instruction is blurred
    session.heed(blurred, wall)
    turned = session.heed(NOTHING, Place(0.0, 0.0, math.radians(167)))
    assert abs(math.remainder(math.radians(167) + turn_of(turned) - wall.yaw, math.tau)) > math.radians(40)


def test_a_way_round_begins_its_tries_anew() -> None:
    """It leads farther away before it leads nearer: that is no try that failed."""
    session = Session(goal="exit")
    told = stuck(session, session.heed(door(0, 4.0), HERE))
    (clue,) = session._leads._clues
    assert moves(told)
    assert (clue.tries, clue.nearest) == (0, math.inf)
