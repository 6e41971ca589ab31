"""Whoever stands beside a door, between wall and leaf, is led back and round to the other side of where they came."""

from __future__ import annotations

import math

import pytest

from nav_vlm_node.instruction import Action, Instruction, Status, Step
from nav_vlm_node.session import Guidance, Place, Session
from nav_vlm_node.session.trail import apart, heading_to
from nav_vlm_node.session.ways import AFAR, BACK, OVER
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
        rounds += session._came_round
    assert 1 <= rounds <= 2
    assert session._going is None
