"""A session never circles: looks end, doors are gone through once, arrows are followed from under their sign."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nav_vlm_node.instruction import Action, Instruction, Status, Step
from nav_vlm_node.language import parse, render
from nav_vlm_node.score import told, wrap
from nav_vlm_node.session import LEG, LOOKS, Guidance, Place, Session

HERE = Place(0.0, 0.0, 0.0)
MISSING = Step(Action.NOT_VISIBLE, landmark="exit")


def said(status: Status, *steps: Step) -> Instruction:
    return Instruction(query_id="1", query="Where is the exit?", status=status, text=render(steps), steps=steps)


def way(degrees: float, distance: float, landmark: str) -> tuple[Step, Step]:
    return Step(Action.TURN, math.radians(degrees)), Step(Action.MOVE, 0.0, distance, landmark)


NOTHING = said(Status.NOT_VISIBLE, MISSING, Step(Action.SCAN))
UNSURE = said(Status.UNSURE)


def turn_of(guidance: Guidance) -> float:
    return told(guidance.instruction.steps)[0]


def test_a_way_to_the_goal_is_told_as_it_is() -> None:
    found = said(Status.OK, *way(20, 3, "exit"))
    assert Session().heed(found, HERE) == Guidance(found)


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


def test_a_covered_camera_is_said_and_turned_away_from() -> None:
    poor = Instruction(query_id="1", query="?", status=Status.POOR_IMAGE, text="The camera seems to be covered.")
    guidance = Session().heed(poor, HERE)
    assert guidance.instruction.text.startswith("The camera seems to be covered. Turn")
    assert guidance.searching


def test_cautions_are_never_dropped() -> None:
    chair = Step(Action.CAUTION, 0.0, 1.0, "chair")
    for status in (Status.UNSURE, Status.NOT_VISIBLE):
        assert chair in Session().heed(said(status, chair), HERE).instruction.steps


def test_a_near_open_door_is_gone_through_and_not_gone_back_to() -> None:
    session = Session()
    door = said(Status.NOT_VISIBLE, MISSING, *way(0, 1.5, "open door"))
    guidance = session.heed(door, HERE)
    assert not guidance.searching
    assert told(guidance.instruction.steps)[1] > 1.5 + 1.0
    back = said(Status.NOT_VISIBLE, MISSING, *way(0, 1.2, "open door"))
    assert session.heed(back, Place(2.7, 0.0, math.pi)).searching


def test_on_the_way_to_a_far_door_a_doubt_does_not_start_a_search() -> None:
    session = Session()
    session.heed(said(Status.NOT_VISIBLE, MISSING, *way(0, 6, "open door")), HERE)
    guidance = session.heed(UNSURE, Place(2.0, 1.0, 0.0))
    direction, distance = told(guidance.instruction.steps)
    assert direction == pytest.approx(math.atan2(-1.0, 4.0))
    assert distance == LEG


def test_a_goal_that_leaves_the_picture_is_remembered_but_not_for_ever() -> None:
    session = Session()
    session.heed(said(Status.OK, *way(30, 2, "exit")), HERE)
    at = (2 * math.cos(math.radians(30)), 2 * math.sin(math.radians(30)))
    near = session.heed(NOTHING, Place(1.0, 0.0, 0.0))
    assert turn_of(near) == pytest.approx(math.atan2(at[1], at[0] - 1.0))
    assert near.searching  # what was seen before is no direction of this picture
    assert near.instruction.steps[0] == MISSING
    there = session.heed(NOTHING, Place(at[0], at[1] - 0.2, 0.0))
    assert not any(step.action is Action.MOVE for step in there.instruction.steps)


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
        if instruction.status is Status.OK:
            assert guidance.instruction == instruction
