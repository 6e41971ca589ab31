"""A session never circles: looks end, nobody is sent aside by one look, arrows are followed from under their sign."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nav_vlm_node.instruction import Action, Instruction, Status, Step
from nav_vlm_node.language import parse
from nav_vlm_node.score import told, wrap
from nav_vlm_node.session import LEG, LOOKS, SURE, TRIES, Guidance, Place, Session
from nav_vlm_node.session.trail import beyond
from tests.nav_vlm_node.session.answers import HERE, MISSING, NOTHING, UNSURE, door, leg_from, moves, said, turn_of, way


def test_a_way_to_the_goal_is_told_as_it_is() -> None:
    found = said(Status.OK, *way(10, 3, "exit"))
    assert Session().heed(found, HERE) == Guidance(found)


@pytest.mark.parametrize("degrees", [15, -20, 45, -50])
@pytest.mark.parametrize("over", [0, 17])
def test_nobody_is_sent_aside_before_a_second_look_agrees(degrees: int, over: int) -> None:
    chair = Step(Action.CAUTION, 0.0, 1.5, "chair")
    session = Session()
    look = session.heed(said(Status.OK, chair, *way(degrees, 3, "exit")), HERE)
    assert look.searching
    assert look.instruction.status is Status.UNSURE
    assert [step.action for step in look.instruction.steps] == [Action.CAUTION, Action.TURN]
    assert turn_of(look) == pytest.approx(math.radians(degrees))
    turned = math.copysign(abs(degrees) + over, degrees)
    again = said(Status.OK, *way(degrees - turned, 3, "exit"))
    assert session.heed(again, Place(0.0, 0.0, math.radians(turned))) == Guidance(again)


@pytest.mark.parametrize(
    ("goal", "distance", "leg"), [("exit", 4.0, LEG / 2), ("open door", 4.0, LEG / 2), ("open door", 0.5, 0.5)]
)
def test_what_is_half_believed_is_gone_to_for_another_look(goal: str, distance: float, leg: float) -> None:
    """About ahead one look is enough only if it is sure; half a leg on, another one may agree, however sure it is."""
    status, seen = (Status.OK, ()) if goal == "exit" else (Status.NOT_VISIBLE, (MISSING,))
    found = [said(status, *seen, *way(10, d, goal), confidence=SURE - 0.01) for d in (distance, distance - leg + 0.25)]
    sure = replace(found[0], confidence=SURE)
    assert Session().heed(sure, HERE).searching is False
    session = Session()
    look = session.heed(found[0], HERE)
    assert look.searching
    assert look.instruction.steps[-2:] == (Step(Action.TURN, math.radians(10)), Step(Action.MOVE, 0.0, leg))
    there = leg_from(HERE, look)
    again = replace(found[1], steps=(*seen, *way(0, max(0.25, distance - leg), goal)))
    assert session.heed(again, there).searching is False


def test_whoever_is_stopped_on_the_way_to_what_is_half_believed_is_turned_and_not_sent_on() -> None:
    session, found = Session(), said(Status.OK, *way(10, 3, "exit"), confidence=SURE - 0.1)
    assert moves(session.heed(found, HERE))
    stopped = session.heed(found, HERE._replace(x=0.1))
    assert stopped.searching
    assert not moves(stopped)


def test_half_believed_looks_end() -> None:
    """A goal that no other look agrees about is never told as a direction; the search goes on elsewhere."""
    session, found = Session(), said(Status.OK, *way(10, 3, "exit"), confidence=SURE - 0.1)
    answers = [session.heed(found, Place(0.0, 10.0 * k, 0.0)) for k in range(LOOKS + 2)]
    assert all(answer.searching for answer in answers)
    assert [answer.instruction.status for answer in answers[-2:]] == [Status.NOT_VISIBLE, Status.UNSURE]


def test_a_second_look_that_does_not_agree_sends_nobody() -> None:
    session, found = Session(), said(Status.OK, *way(40, 3, "exit"))
    session.heed(found, HERE)
    for k in range(1, LOOKS):  # it is always as far aside of where they look: a mark on the lens, perhaps
        guidance = session.heed(found, Place(0.0, 0.0, wrap(math.radians(40 * k))))
        assert guidance.searching
        assert not moves(guidance)
    assert session.heed(NOTHING, Place(0.0, 0.0, math.radians(-90))).searching


def test_the_same_look_again_is_no_second_one() -> None:
    session, found = Session(), said(Status.OK, *way(40, 3, "exit"))
    assert all(session.heed(found, HERE._replace(yaw=0.02 * k)).searching for k in range(3))


def test_statuses_that_are_no_search_are_told_as_they_are() -> None:
    for status in set(Status) - {Status.OK, Status.NOT_VISIBLE, Status.UNSURE, Status.POOR_IMAGE}:
        instruction = said(status)
        assert Session().heed(instruction, HERE) == Guidance(instruction)


def test_looking_around_is_definite_turns_the_same_way_round_and_ends() -> None:
    session, place, looked = Session(), HERE, [0.0]
    for _ in range(LOOKS):
        guidance = session.heed(NOTHING, place)
        steps = guidance.instruction.steps
        assert guidance.searching
        assert Step(Action.SCAN) not in steps
        if any(step.action is Action.MOVE for step in steps):
            break
        assert turn_of(guidance) > 0
        place = Place(0.0, 0.0, wrap(place.yaw + turn_of(guidance)))
        looked.append(place.yaw)
    else:
        pytest.fail("it goes on looking around at one place")
    assert all(min(abs(wrap(math.radians(a) - b)) for b in looked) <= math.radians(45) for a in range(0, 360, 5))


def test_what_is_told_is_what_the_steps_say() -> None:
    for instruction in (NOTHING, UNSURE, said(Status.NOT_VISIBLE, MISSING, *way(30, 1, "open door"))):
        told_now = Session().heed(instruction, HERE).instruction
        parsed = parse(told_now.text)
        assert not parsed.unparsed
        assert [step.action for step in parsed.steps] == [step.action for step in told_now.steps]


def test_cautions_are_never_dropped() -> None:
    chair = Step(Action.CAUTION, 0.0, 1.0, "chair")
    for status in (Status.UNSURE, Status.NOT_VISIBLE):
        assert chair in Session().heed(said(status, chair), HERE).instruction.steps


def test_a_goal_is_not_believed_to_be_where_the_wearer_has_been() -> None:
    session = Session()
    session.heed(said(Status.OK, *way(0, 2, "exit")), HERE)
    session.heed(NOTHING, Place(2.0, 0.0, 0.0))
    again = session.heed(said(Status.OK, *way(180, 2, "exit")), Place(4.0, 0.0, 0.0))
    assert again.searching
    assert again.instruction.status is Status.NOT_VISIBLE
    assert MISSING in again.instruction.steps
    assert not moves(session.heed(said(Status.OK, *way(90, 2, "exit")), Place(4.0, 0.0, 0.0)))
    elsewhere = said(Status.OK, *way(0, 2, "exit"))
    assert session.heed(elsewhere, Place(4.0, 0.0, math.pi / 2)) == Guidance(elsewhere)


def test_a_goal_that_is_a_metre_farther_than_it_was_said_to_be_is_believed() -> None:
    session = Session()
    session.heed(said(Status.OK, *way(0, 2, "exit")), HERE)
    for at, ahead in ((2.0, 1.0), (2.6, 0.5)):
        found = said(Status.OK, *way(5, ahead, "exit"))
        assert session.heed(found, Place(at, 0.0, 0.0)) == Guidance(found)


def test_a_goal_that_comes_no_nearer_leg_after_leg_is_not_believed_any_more() -> None:
    session, place, believed = Session(), HERE, []
    for _ in range(12):  # always two metres ahead
        guidance = session.heed(said(Status.OK, *way(5, 2, "exit")), place)
        believed.append(not guidance.searching)
        place = leg_from(place, guidance)
    assert all(believed[:4])
    assert not all(believed)


def test_where_a_goal_never_came_nearer_it_is_not_believed_from_elsewhere_either() -> None:
    session, place, spot = Session(), HERE, (0.0, 0.0)
    for _ in range(12):
        guidance = session.heed(said(Status.OK, *way(5, 2, "exit")), place)
        heading = place.yaw + math.radians(5)
        spot = (place.x + 2 * math.cos(heading), place.y + 2 * math.sin(heading))
        if guidance.searching:
            break
        place = leg_from(place, guidance)
    beyond_it = Place(spot[0] + 3.0, spot[1], math.pi)
    assert session.heed(said(Status.OK, *way(0, 3, "exit")), beyond_it).searching


def test_on_the_way_to_what_is_remembered_one_steps_aside_too() -> None:
    session = Session()
    session.heed(said(Status.OK, *way(0, 4, "exit")), HERE)
    told_now = [session.heed(UNSURE, HERE) for _ in range(TRIES)]
    assert [round(turn_of(guidance), 3) for guidance in told_now[:-1]] == [0.0] * (TRIES - 1)
    assert moves(told_now[-1])
    assert abs(turn_of(told_now[-1])) == pytest.approx(math.pi / 2)


@pytest.mark.parametrize("side", [1, -1])
def test_whoever_is_stopped_again_and_again_is_sent_aside(side: int) -> None:
    session, asides = Session(), []
    person = Step(Action.CAUTION, side * math.radians(10), 1.0, "person")
    found = said(Status.OK, person, *way(0, 5, "exit"))
    for _ in range(2 * TRIES + 2):
        guidance = session.heed(found, HERE)
        if guidance != Guidance(found):
            asides.append(turn_of(guidance))
            assert guidance.searching
            assert guidance.instruction.status is not Status.OK
            assert person in guidance.instruction.steps
            assert told(guidance.instruction.steps)[1] < LEG
    assert len(asides) == 2
    assert asides[0] * side < 0 < asides[1] * side  # away from the person, then to the other side


def test_whoever_is_stopped_by_what_no_picture_shows_is_sent_aside_too() -> None:
    session, found = Session(), said(Status.OK, *way(0, 5, "exit"))
    told_now = [session.heed(found, HERE) for _ in range(TRIES + 1)]
    assert told_now[:TRIES] == [Guidance(found)] * TRIES
    assert told_now[TRIES].searching
    assert abs(turn_of(told_now[TRIES])) == pytest.approx(math.pi / 2)


def test_whoever_gets_on_is_not_sent_aside() -> None:
    session = Session()
    for k in range(4 * TRIES):
        found = said(Status.OK, *way(0, 18 - 1.5 * k, "exit"))
        assert session.heed(found, Place(1.5 * k, 0.0, 0.0)) == Guidance(found)


def looked_around(session: Session, place: Place) -> tuple[int, Place]:
    """How many looks a search takes from here, and where the leg after them leads."""
    for looks in range(LOOKS + 1):
        guidance = session.heed(NOTHING, place)
        if moves(guidance):
            return looks, leg_from(place, guidance)
        place = leg_from(place, guidance)
    pytest.fail("it goes on looking around at one place")


def test_where_somebody_looked_around_they_go_farther_and_not_back_and_forth() -> None:
    session = Session()
    session.heed(NOTHING, Place(-2.0, 0.0, 0.0))
    looks, first = looked_around(session, HERE)
    assert looks > 2
    assert math.dist((first.x, first.y), (0.0, 0.0)) == pytest.approx(LEG)
    again, second = looked_around(session, Place(0.5, 0.0, first.yaw))  # after half a metre: all was seen from there
    assert again < looks
    assert math.dist((second.x, second.y), (0.5, 0.0)) == pytest.approx(LEG)
    assert math.dist((second.x, second.y), (-2.0, 0.0)) > 1.5


def test_a_leg_that_met_something_is_not_told_again() -> None:
    session = Session()
    _, first = looked_around(session, HERE)
    _, second = looked_around(session, HERE._replace(yaw=first.yaw))
    assert abs(wrap(second.yaw - first.yaw)) > math.radians(40)


def test_a_goal_that_leaves_the_picture_is_remembered_but_not_for_ever() -> None:
    session = Session()
    session.heed(said(Status.OK, *way(10, 2, "exit")), HERE)
    at = (2 * math.cos(math.radians(10)), 2 * math.sin(math.radians(10)))
    near = session.heed(NOTHING, Place(1.0, 0.0, 0.0))
    assert turn_of(near) == pytest.approx(math.atan2(at[1], at[0] - 1.0))
    assert near.searching  # what was seen before is no direction of this picture
    assert near.instruction.steps[0] == MISSING
    there = session.heed(NOTHING, Place(at[0], at[1] - 0.2, 0.0))
    assert there.instruction.text == "No exit in view. It should be within reach."
    assert there.searching
    again = session.heed(NOTHING, Place(at[0], at[1] - 0.2, 0.0))
    assert not any(step.action is Action.MOVE for step in again.instruction.steps)
    assert turn_of(again) != 0, "it is looked for again"


def misled() -> tuple[Session, Place]:
    """Somebody who saw the exit 40 degrees aside, then surely ahead, and is where that was; twice nothing is there."""
    session, there = Session(), beyond(HERE, 0.0, 3.0)
    session.heed(said(Status.OK, *way(40, 6, "exit")), HERE)
    assert not session.heed(said(Status.OK, *way(0, 3, "exit")), HERE).searching, "one sure look ahead was enough"
    for _ in range(2):
        session.heed(NOTHING, there)
    return session, there


def test_whoever_was_led_to_a_goal_that_was_not_there_is_led_by_no_single_look_again() -> None:
    session, there = misled()
    once = session.heed(said(Status.OK, *way(0, 3, "exit")), there._replace(yaw=math.radians(-60)))
    assert once.searching
    assert told(once.instruction.steps) == pytest.approx((0.0, LEG / 2)), "gone to for a metre, and looked at again"
    nearer = beyond(there, math.radians(-60), 1.0)
    assert not session.heed(said(Status.OK, *way(0, 2, "exit")), nearer).searching, "two looks lead"
    session, there = misled()
    assert not session.heed(door(0, 4.0), there._replace(yaw=math.radians(-60))).searching, "doors as ever"


def test_what_was_seen_before_the_goal_was_not_there_agrees_with_nothing() -> None:
    session, there = misled()
    before = beyond(HERE, math.radians(40), 6.0)
    facing = there._replace(yaw=math.atan2(before.y - there.y, before.x - there.x))
    assert session.heed(said(Status.OK, *way(0, 4, "exit")), facing).searching


def test_doors_that_were_seen_before_the_goal_was_not_there_are_still_known() -> None:
    session, there = Session(), beyond(HERE, 0.0, 3.0)
    session.heed(door(50, 4.0), HERE)
    session.heed(said(Status.OK, *way(0, 3, "exit")), HERE)
    for _ in range(2):
        session.heed(NOTHING, there)
    assert session.heed(door(0, 4.0), there._replace(yaw=math.radians(-60))).searching, "it is one of two"


def test_what_cannot_be_got_nearer_to_is_given_up() -> None:
    session = Session()
    session.heed(said(Status.OK, *way(0, 4, "exit")), HERE)
    moves = [any(step.action is Action.MOVE for step in session.heed(UNSURE, HERE).instruction.steps) for _ in range(6)]
    assert moves[0]
    assert not all(moves)


@pytest.mark.parametrize(("arrow", "side"), [(90.0, 1), (-90.0, -1)])
def test_an_arrow_is_followed_from_under_its_sign(arrow: float, side: int) -> None:
    sign = Step(Action.SIGN, math.radians(arrow), landmark="exit sign")
    far = said(Status.NOT_VISIBLE, MISSING, *way(10, 5, "exit sign"), sign)
    assert Session().heed(far, HERE) == Guidance(far)
    near = Session().heed(said(Status.NOT_VISIBLE, MISSING, *way(10, 2, "exit sign"), sign), HERE)
    motion = [step for step in near.instruction.steps if step.action in (Action.TURN, Action.MOVE)]
    assert [step.action for step in motion] == [Action.TURN, Action.MOVE, Action.TURN, Action.MOVE]
    assert motion[1].distance < 2.0
    assert motion[2].bearing * side > 0


@pytest.mark.parametrize("free", [180, -90, 45])
def test_a_search_goes_on_to_where_nobody_has_been(free: int) -> None:
    session = Session()
    for degrees in set(range(-135, 181, 45)) - {free}:
        heading = math.radians(degrees)
        session.heed(said(Status.OK, *way(0, 9, "exit")), Place(2 * math.cos(heading), 2 * math.sin(heading), heading))
        session.heed(said(Status.OK), HERE)  # nothing is on the way any more
    _, end = looked_around(session, HERE)
    assert abs(wrap(end.yaw - math.radians(free))) < math.radians(30)


answers = st.one_of(
    st.just(NOTHING),
    st.just(UNSURE),
    st.builds(
        lambda a, d, name: said(Status.NOT_VISIBLE, MISSING, *way(a, d, name)),
        st.integers(-90, 90), st.floats(0.25, 9), st.sampled_from(["open door", "exit sign"]),
    ),
    st.builds(lambda a, d: said(Status.OK, *way(a, d, "exit")), st.integers(-90, 90), st.floats(0.25, 9)),
)  # fmt: skip
places = st.builds(Place, st.floats(-5, 5), st.floats(-5, 5), st.floats(-math.pi, math.pi))


@settings(max_examples=60)
@given(st.lists(st.tuples(answers, places), max_size=12))
def test_every_answer_is_one_that_can_be_obeyed(asked: list[tuple[Instruction, Place]]) -> None:
    session = Session()
    for instruction, place in asked:
        guidance = session.heed(instruction, place)
        for step in guidance.instruction.steps:
            assert math.isnan(step.bearing) or -math.pi <= step.bearing <= math.pi
            assert math.isnan(step.distance) or 0 < step.distance <= 9 + LEG
        assert guidance.instruction.text
        if not guidance.searching and guidance.instruction.status is Status.OK:
            assert guidance.instruction == instruction  # a way to the goal is the picture's, or there is none
