"""A goal that is in view through an open door: beside its leaf, and through it where the goal is out of view."""

from __future__ import annotations

import math

import pytest

from nav_vlm_node.instruction import Action, Instruction, Status, Step
from nav_vlm_node.score import told, wrap
from nav_vlm_node.session import Place, Session
from nav_vlm_node.session.leaves import AROUND, ROOM, Leaves
from nav_vlm_node.session.sought import DOUBTS
from nav_vlm_node.session.trail import TRIES, beyond, heading_to
from tests.nav_vlm_node.session.answers import HERE, MISSING, NOTHING, UNSURE, door, leg_from, moves, said, turn_of, way


def leaf(degrees: float, distance: float) -> Step:
    return Step(Action.CAUTION, math.radians(degrees), distance, "open door")


def goal(distance: float, *cautions: Step) -> Instruction:
    return said(Status.OK, *cautions, *way(0, distance, "exit"))


def asked(degrees: float, distance: float) -> Instruction:
    return said(Status.OK, *way(degrees, distance, "open door"))


UNKNOWN = said(Status.UNSURE)


@pytest.mark.parametrize("side", [1, -1])
def test_a_goal_behind_a_door_is_gone_to_beside_its_leaf(side: int) -> None:
    guidance = Session().heed(goal(6, leaf(10 * side, 2)), HERE, lambda _: asked(0, 3))
    assert guidance.searching
    assert guidance.instruction.steps[0] == leaf(10 * side, 2), "the warning stays"
    assert turn_of(guidance) * side < -math.radians(3), "away from the leaf"
    after = leg_from(HERE, guidance)
    assert heading_to(after, Place(3.0, 0.0, 0.0)) == pytest.approx(side * AROUND, abs=math.radians(5))


@pytest.mark.parametrize(
    ("warned", "answer"),
    [
        ((), asked(0, 3)),
        ((Step(Action.CAUTION, 0.1, 2.0, "chair"),), asked(0, 3)),
        ((leaf(40, 2),), asked(0, 3)),  # not in the way
        ((leaf(4, 6.5),), asked(0, 7)),  # behind the goal
        ((leaf(1, 2),), asked(0, 3)),  # on which side it hangs is not to be seen
        ((leaf(10, 1),), asked(0, ROOM - 0.1)),
        ((leaf(10, 2),), UNKNOWN),
        ((leaf(10, 2),), said(Status.NOT_VISIBLE, MISSING)),
    ],
)
def test_a_goal_is_gone_straight_to_where_no_leaf_is_known_to_be_in_the_way(
    warned: tuple[Step, ...], answer: Instruction
) -> None:
    told_now = goal(6, *warned)
    guidance = Session().heed(told_now, HERE, lambda _: answer)
    assert guidance.instruction is told_now
    assert not guidance.searching


def test_without_another_question_the_goal_is_gone_straight_to() -> None:
    assert not Session().heed(goal(6, leaf(10, 2)), HERE).searching


def test_nobody_is_asked_for_a_door_where_no_leaf_is_in_the_way() -> None:
    asked_for: list[str] = []

    def ask(text: str) -> Instruction:
        asked_for.append(text)
        return asked(0, 3)

    session = Session()
    session.heed(goal(6), HERE, ask)
    assert not asked_for
    session.heed(goal(6, leaf(10, 2)), HERE, ask)
    assert asked_for == ["Where is the open door?"]


def test_a_leaf_is_remembered_where_a_picture_warns_of_something_nearer() -> None:
    session = Session()
    session.heed(goal(6, leaf(10, 2)), HERE, lambda _: UNKNOWN)
    person = Step(Action.CAUTION, 0.0, 1.0, "person")
    assert session.heed(goal(5.5, person), Place(0.5, 0.0, 0.0), lambda _: asked(0, 2.5)).searching


@pytest.mark.parametrize("goal_at", [12, -12])
def test_a_goal_that_went_out_of_view_behind_a_door_is_gone_to_through_it(goal_at: int) -> None:
    """Its leaf tells no side, so one went straight on; then the door leads, not the goal."""
    session = Session()
    seen = said(Status.OK, leaf(0, 2), *way(goal_at, 6, "exit"))
    session.heed(seen, HERE, lambda _: asked(0, 3))
    place = Place(1.0, 0.0, 0.0)
    guidance = session.heed(NOTHING, place, lambda _: UNKNOWN)
    assert guidance.searching
    assert moves(guidance)
    assert turn_of(guidance) == pytest.approx(0.0, abs=math.radians(3)), "to the door"
    before = leg_from(place, guidance)
    through = session.heed(NOTHING, before, lambda _: UNKNOWN)
    assert turn_of(through) == pytest.approx(0.0, abs=math.radians(3)), "and through it"
    behind = Place(4.2, 0.0, 0.0)
    there = session.heed(NOTHING, behind, lambda _: UNKNOWN)
    spot = beyond(HERE, math.radians(goal_at), 6)
    assert turn_of(there) == pytest.approx(heading_to(behind, spot), abs=math.radians(3)), "to the goal"


@pytest.mark.parametrize("reach", [0.8, 8.0])
def test_a_door_in_whose_frame_one_stands_or_beyond_the_goal_does_not_lead_to_it(reach: float) -> None:
    session = Session()
    seen = said(Status.OK, leaf(12, 0.7 if reach < 1 else 3), *way(12, 6, "exit"))
    session.heed(seen, HERE, lambda _: asked(0, reach))
    place = Place(0.0, 0.5, 0.0)
    spot = beyond(HERE, math.radians(12), 6)
    lost = session.heed(NOTHING, place, lambda _: UNKNOWN)
    assert turn_of(lost) == pytest.approx(heading_to(place, spot), abs=math.radians(1)), "the goal does"


def test_a_door_that_was_gone_through_does_not_lead_again() -> None:
    session = Session()
    session.heed(goal(6, leaf(0, 2)), HERE, lambda _: asked(0, 3))
    behind = Place(4.2, 0.0, math.pi)  # and faced again
    back = said(Status.OK, leaf(0, 0.8), *way(0, 9, "exit"))
    session.heed(back, behind, lambda _: asked(0, 1.2))
    spot = Place(4.2 - 9.0, 0.0, 0.0)
    place = Place(4.2, 0.6, math.pi)
    lost = session.heed(NOTHING, place, lambda _: UNKNOWN)
    assert turn_of(lost) == pytest.approx(wrap(heading_to(place, spot) - math.pi), abs=math.radians(1))


@pytest.mark.parametrize("side", [1, -1])
def test_on_the_way_to_a_door_a_look_at_its_leaf_still_counts(side: int) -> None:
    session = Session()
    session.heed(goal(6, leaf(0, 2)), HERE, lambda _: asked(0, 3))
    warned = said(Status.NOT_VISIBLE, leaf(15 * side, 1.5), MISSING)
    assert turn_of(session.heed(warned, Place(0.5, 0.0, 0.0), lambda _: asked(0, 2.5))) * side < -math.radians(3)


def test_a_door_that_nobody_gets_through_to_the_goal_is_given_up() -> None:
    session = Session()
    session.heed(goal(6, leaf(0, 2)), HERE, lambda _: asked(0, 3))
    place = Place(2.1, 0.0, 0.0)
    told_now = [session.heed(UNSURE, place) for _ in range(TRIES + 2)]
    assert all(moves(guidance) for guidance in told_now[:TRIES])
    assert any(abs(turn_of(guidance)) > math.radians(60) for guidance in told_now[TRIES:]), "another way"


def test_the_door_to_a_goal_that_is_not_believed_any_more_does_not_lead() -> None:
    session = Session()
    places = [Place(0.0, 0.45 * k, 0.0) for k in range(DOUBTS)]  # along, and never nearer
    for place in places:
        session.heed(goal(6, leaf(0, 2)), place, lambda _: asked(0, 3))
    last = session.heed(goal(6, leaf(0, 2)), places[-1]._replace(y=0.45 * DOUBTS), lambda _: UNKNOWN)
    assert last.searching
    assert MISSING in last.instruction.steps
    assert not moves(last), "it looks elsewhere"


def test_who_does_not_get_nearer_beside_a_leaf_steps_aside() -> None:
    session = Session()
    told_now = [session.heed(goal(6, leaf(10, 2)), HERE, lambda _: asked(0, 3)) for _ in range(TRIES + 1)]
    assert all(abs(turn_of(guidance)) < math.radians(20) for guidance in told_now[:TRIES])
    assert abs(turn_of(told_now[TRIES])) > math.radians(60)


@pytest.mark.parametrize("side", [1, -1])
def test_a_door_that_leads_on_is_gone_to_beside_its_leaf(side: int) -> None:
    plain = door(0, 3)
    warned = said(Status.NOT_VISIBLE, leaf(10 * side, 2), *plain.steps)
    guidance = Session().heed(warned, HERE)
    assert turn_of(guidance) * side < -math.radians(3)
    assert told(guidance.instruction.steps)[1] < 3.0
    assert turn_of(Session().heed(plain, HERE)) == pytest.approx(0.0)


def test_of_one_leaf_the_last_look_counts() -> None:
    leaves, end = Leaves(), Place(6.0, 0.0, 0.0)
    leaves.heed(goal(6, leaf(10, 2)), HERE)
    assert leaves.between(HERE, end) is not None
    assert leaves.between(Place(3.0, 0.0, 0.0), end) is None, "it is behind"
    leaves.heed(goal(6, leaf(30, 2)), HERE)
    assert leaves.between(HERE, end) is None
