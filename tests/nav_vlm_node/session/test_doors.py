"""Doors that lead on: lined up with, gone through once, looked at again where they are aside."""

from __future__ import annotations

import math

import pytest

from nav_vlm_node.instruction import Action, Instruction, Status
from nav_vlm_node.language import Style
from nav_vlm_node.score import told, wrap
from nav_vlm_node.session import LEG, LOOKS, TRIES, Place, Session
from nav_vlm_node.session.clues import OPEN_DOOR, TOGETHER, TURNED, Clue
from nav_vlm_node.session.trail import beyond
from tests.nav_vlm_node.session.answers import HERE, MISSING, NOTHING, UNSURE, door, leg_from, moves, said, turn_of, way


def test_a_near_open_door_is_gone_through_and_not_gone_back_to() -> None:
    session = Session()
    guidance = session.heed(door(0, 0.9), HERE)
    assert not guidance.searching
    assert told(guidance.instruction.steps)[1] > 0.9 + 1.0
    assert session.heed(door(0, 1.1), Place(2.0, 0.0, math.pi)).searching


@pytest.mark.parametrize(
    ("language", "words"), [("en", "This is only a try. No "), ("de", "Das ist nur ein Versuch. ")]
)
def test_one_of_several_open_doors_is_only_tried(language: str, words: str) -> None:
    """Which of them leads on no picture tells, and the wearer is told so; of doors that were gone through nobody has to
    choose."""
    session = Session(Style(language=language))
    only = session.heed(door(0, 4.0), HERE)
    assert not only.searching
    assert not only.instruction.text.startswith(words)
    first = beyond(HERE, 0.0, 2.0)
    other = session.heed(door(0, 3.0), first._replace(yaw=math.radians(90)))
    assert other.searching
    assert other.instruction.text.startswith(words)
    assert told(other.instruction.steps) == pytest.approx((0.0, 3.0)), "the same way as one would be told"
    through, place, _ = looked_around_behind_a_door()
    assert not through.heed(door(0, 4.0), place).searching


@pytest.mark.parametrize(
    ("now", "distance", "tried"), [(-2, 4.0, True), (25, 4.0, False), (10, 8.0, False), (-2, 1.5, False)]
)
def test_looks_at_a_door_that_do_not_agree_make_it_a_try(now: int, distance: float, tried: bool) -> None:
    """One look shows a door 25 degrees to the left; the wearer is turned that way, not enough, and the next one shows
    it there, as near as one can tell so far away, or so near that it may be the same one, or another one ahead."""
    session = Session()
    look = session.heed(door(25, distance), HERE)
    assert look.searching
    assert not moves(look)
    guidance = session.heed(door(now - 12, distance), HERE._replace(yaw=math.radians(12)))
    assert moves(guidance)
    assert guidance.searching is tried
    assert guidance.instruction.text.startswith("This is only a try.") is tried


def test_a_door_that_was_only_asked_for_is_one_of_several_too() -> None:
    session = Session()
    session.heed(NOTHING, HERE, lambda question: said(Status.OK, *way(40, 4.0, "open door")))
    assert session.heed(door(0, 4.0), HERE._replace(yaw=math.radians(-60))).searching


def looked_around_behind_a_door() -> tuple[Session, Place, int]:
    """A session whose wearer has come through a door and was turned all round behind it, while another one was seen
    ahead of them; how often they were turned."""
    session, place, turns = Session(), beyond(HERE, 0.0, 2.0), 0
    session.heed(door(0, 0.9), HERE)
    guidance = session.heed(door(0, 4.0), place)
    while not moves(guidance) and turns < 2 * LOOKS:
        turns += 1
        place = place._replace(yaw=wrap(place.yaw + turn_of(guidance)))
        guidance = session.heed(NOTHING, place)
    return session, beyond(place, place.yaw, 0.5)._replace(yaw=0.0), turns


def test_behind_a_door_one_looks_around_before_another_one_is_gone_to() -> None:
    _, _, turns = looked_around_behind_a_door()
    assert LOOKS - 1 <= turns <= LOOKS
    session = Session()
    session.heed(door(0, 0.9), HERE)
    signed = said(Status.NOT_VISIBLE, MISSING, *way(0, 4.0, "exit sign"))
    assert not session.heed(signed, beyond(HERE, 0.0, 2.0)).searching, "a sign tells more than a door"
    assert not session.heed(door(0, 3.0), beyond(HERE, 0.0, 3.0)).searching, "and so does the door under it"


def test_a_door_is_lined_up_with_before_it_is_gone_through() -> None:
    guidance = Session().heed(door(10, 2.0), HERE)
    assert turn_of(guidance) == pytest.approx(math.radians(10))
    assert 0.5 < told(guidance.instruction.steps)[1] < 1.5  # it ends before the door, not in it


def test_a_door_that_was_not_got_through_is_tried_again_another_way() -> None:
    """From where it was seen nobody knows how its wall runs: first as it was seen, then turned aside. Who gets through
    on such a way has got through."""
    session, headings = Session(), []
    session.heed(door(0, 0.9), HERE)
    for _ in range(2):  # stopped in the doorway, where nothing can be seen
        guidance = session.heed(UNSURE, Place(0.8, 0.0, 0.0))
        assert guidance.searching
        assert moves(guidance)
        headings.append(sum(step.bearing for step in guidance.instruction.steps if step.action is Action.TURN))
    assert headings == pytest.approx([0.0, TURNED])
    through = beyond(Place(0.9, 0.0, 0.0), headings[-1] + math.radians(45), 0.8)
    assert not moves(session.heed(UNSURE, through)), "one looks around behind it"


@pytest.mark.parametrize("side", [1, -1])
def test_a_door_at_the_edge_of_the_view_is_looked_at_before_it_is_walked_to(side: int) -> None:
    session = Session()
    look = session.heed(door(side * 50, 2.0), HERE)
    assert look.searching
    assert not moves(look)
    assert MISSING in look.instruction.steps
    assert turn_of(look) == pytest.approx(side * math.radians(50))
    there = Place(0.0, 0.0, side * math.radians(60))
    assert not session.heed(door(-side * 10, 2.0), there).searching, "now it is in the middle"
    endless = Session()
    assert any(moves(endless.heed(door(side * 50, 2.0), HERE)) for _ in range(LOOKS + 1)), "it ends"


@pytest.mark.parametrize(("said_now", "reach"), [(50, 0.5), (-50, 0.5), (50, 1.4), (-50, 2.5)])
def test_in_the_frame_of_a_door_what_was_seen_from_farther_away_counts(said_now: float, reach: float) -> None:
    """The way through it is what was seen three metres before, whatever the picture says of the frame."""
    session = Session()
    session.heed(door(10, 3.0), HERE)
    there = Place(2.75 * math.cos(math.radians(10)), 2.75 * math.sin(math.radians(10)), math.radians(-10))
    guidance = session.heed(door(said_now, reach), there)
    assert guidance.searching, "by memory"
    assert MISSING in guidance.instruction.steps
    assert turn_of(guidance) == pytest.approx(math.radians(20), abs=math.radians(3))
    assert told(guidance.instruction.steps)[1] == LEG
    before = Place(math.cos(math.radians(10)), math.sin(math.radians(10)), math.radians(-10))
    assert turn_of(session.heed(UNSURE, before)) == pytest.approx(math.radians(20), abs=math.radians(3))


@pytest.mark.parametrize("off", [0.5, -0.5])
def test_beside_a_door_one_gets_in_line_with_it_first(off: float) -> None:
    session = Session()
    session.heed(door(0, 2.0), HERE)
    steps = session.heed(UNSURE, Place(1.5, off, 0.0)).instruction.steps
    assert [step.action for step in steps] == [Action.TURN, Action.MOVE, Action.TURN, Action.MOVE]
    assert steps[0].bearing * off < 0
    assert steps[1].distance == pytest.approx(abs(off))
    assert steps[0].bearing + steps[2].bearing == pytest.approx(0.0)


def test_each_try_at_a_door_is_lined_up_with_on_a_line_of_its_own() -> None:
    """Half a metre beside a door, and before it: as it was seen, then turned to the left, and then to the right."""
    session, tried = Session(), []
    session.heed(door(0, 2.0), HERE)
    for _ in range(TRIES):
        steps = session.heed(UNSURE, Place(1.5, 0.5, 0.0)).instruction.steps
        turned = sum(step.bearing for step in steps if step.action is Action.TURN)
        tried.append((turned, [step.distance for step in steps if step.action is Action.MOVE]))
    assert [turned for turned, _ in tried] == pytest.approx([0.0, TURNED, -TURNED])
    off = math.hypot(0.5, 0.5)
    assert tried[0][1] == pytest.approx([0.5, LEG])
    assert tried[1][1] == pytest.approx([off * math.sin(math.radians(135) - TURNED), LEG])
    assert tried[2][1] == [LEG], "on that line they stand already"


def test_whoever_turns_too_far_is_told_to_turn_less_on_the_way_to_what_is_remembered() -> None:
    over, told_turns = math.radians(15), []
    for too_far in (0.0, over):
        session, place = Session(), HERE
        for _ in range(2):
            place = place._replace(yaw=wrap(place.yaw + turn_of(session.heed(NOTHING, place)) + too_far))
        session.heed(door(40, 6.5), place)
        place = beyond(place, place.yaw + math.radians(40), 0.5)._replace(yaw=place.yaw)
        session.heed(door(40, 6), place)
        told_turns.append(turn_of(session.heed(UNSURE, place)))
    assert told_turns[1] == pytest.approx(told_turns[0] - over, abs=math.radians(1))


def test_a_door_that_nobody_gets_through_is_given_up() -> None:
    session = Session()
    session.heed(door(0, 0.9), HERE)
    told_now = [session.heed(UNSURE, Place(0.3, 0.0, 0.0)) for _ in range(TRIES)]
    assert all(moves(guidance) for guidance in told_now[:-1])
    assert not moves(told_now[-1])  # it looks for another way; nobody steps aside from a door
    assert session.heed(door(0, 0.6), Place(0.3, 0.0, 0.0)).searching


def test_where_nothing_else_leads_on_one_goes_back_through_a_door() -> None:
    session, place = Session(), Place(2.0, 0.0, 0.0)
    session.heed(door(0, 0.9), HERE)
    for _ in range(6 * LOOKS):
        guidance = session.heed(NOTHING, place)
        to_door = math.atan2(-place.y, 0.9 - place.x)
        place = leg_from(place, guidance)
        if moves(guidance) and abs(wrap(place.yaw - to_door)) < math.radians(3):
            return
    pytest.fail("it never goes back")


def test_on_the_way_to_a_far_door_a_doubt_does_not_start_a_search() -> None:
    session = Session()
    session.heed(door(0, 6), HERE)
    guidance = session.heed(UNSURE, Place(2.0, 1.0, 0.0))
    direction, distance = told(guidance.instruction.steps)
    assert direction == pytest.approx(math.atan2(-1.0, 3.1))  # to where it is lined up with
    assert distance == LEG


def test_a_search_knows_the_doors_that_other_questions_found() -> None:
    session, place = Session(), HERE

    def ask(question: str) -> Instruction:
        assert question == "Where is the open door?"
        return said(Status.OK, *way(-60, 4, "open door")) if place.yaw == 0.0 else said(Status.NOT_VISIBLE)

    for _ in range(LOOKS + 1):
        guidance = session.heed(NOTHING, place, ask)
        if any(step.action is Action.MOVE for step in guidance.instruction.steps):
            break
        place = Place(0.0, 0.0, wrap(place.yaw + turn_of(guidance)))
    assert wrap(place.yaw + turn_of(guidance)) == pytest.approx(math.radians(-60))


def test_a_door_at_the_edge_is_turned_to_however_often_it_was_seen() -> None:
    """Nearer to the middle a second look settles it."""
    for degrees, walked in ((50, False), (40, True)):
        session = Session()
        session.heed(door(degrees, 4.0), HERE)
        heading = math.radians(degrees)
        nearer = beyond(HERE, heading, 1.0)._replace(yaw=0.0)
        assert moves(session.heed(door(degrees, 3.0), nearer)) is walked


def test_where_a_door_is_several_looks_tell_together_and_near_ones_more() -> None:
    clue = Clue(OPEN_DOOR, 4.0, 0.0)
    for eye, y in ((Place(0.0, 0.0, 0.0), 0.4), (Place(0.0, 0.0, 0.1), 0.4), (Place(2.0, 0.0, 0.0), 0.0)):
        clue.seen_at(4.0, y, eye)
    near, far = 1 / 4, 2 / (16 + 0.4**2)
    assert clue.y == pytest.approx(0.4 * far / (far + near))
    for _ in range(20):
        clue.seen_at(4.0, 0.0, Place(2.0, 0.0, 0.0))
    assert clue.y == pytest.approx(0.4 * far / (far + near)), "the same picture says nothing new"
    for k in range(TOGETHER):
        clue.seen_at(4.2, -0.1, Place(2.0, 0.01 * k, 0.0))
    assert (clue.x, clue.y) == pytest.approx((4.2, -0.1)), "old looks are let go"
