"""The one word for an answer, and its reasons."""

from __future__ import annotations

import math

import pytest

from nav_vlm_node.instruction import Action, Status, Step
from nav_vlm_node.score import Truth
from nav_vlm_sim.demo.verdict import Mark, verdict_of
from tests.nav_vlm_sim.demo.made_up import instruction, visible

CHAIR = Step(Action.CAUTION, 0.35, 1.5, "chair")
LEFT_30 = math.radians(30)
IN_VIEW = visible(LEFT_30, 4.0)
HINDERED = visible(LEFT_30, 4.0, (CHAIR,))
GONE = Truth("target", "lift", False, steps=(Step(Action.NOT_VISIBLE, landmark="lift"), Step(Action.SCAN)))
SIGNED = Truth(
    "target", "exit", False,
    steps=(
        Step(Action.NOT_VISIBLE, landmark="exit"), Step(Action.TURN, LEFT_30), Step(Action.MOVE, 0.0, 4.0, "exit sign"),
        Step(Action.SIGN, math.pi / 2, landmark="exit sign"),
    ),
)  # fmt: skip
TO_SIGN = "No exit in view. Turn left 30 degrees, then move 4 metres to the exit sign."
BLOCKED = Truth("hazard", hazards=(CHAIR,), steps=(CHAIR,))
CLEAR = Truth("hazard", steps=(Step(Action.NO_HAZARD, distance=3.0),))
UNKNOWN = Truth("unknown", "zoo", steps=(Step(Action.UNKNOWN),))


@pytest.mark.parametrize(
    ("truth", "text", "mark", "reason"),
    [
        (IN_VIEW, "Turn left 30 degrees, then move 4 metres to the box.", Mark.RIGHT, "direction 0 degrees off"),
        (IN_VIEW, "Turn left 40 degrees, then move 4 metres to the box.", Mark.RIGHT, "direction 10 degrees off"),
        (IN_VIEW, "Turn left 30 degrees, then move 9 metres to the box.", Mark.PARTLY, "distance 5.0 m off"),
        (IN_VIEW, "Turn left 50 degrees, then move 4 metres to the box.", Mark.WRONG, "direction 20 degrees off"),
        (IN_VIEW, "Turn right 30 degrees, then move 4 metres to the box.", Mark.WRONG, "to the other side"),
        (IN_VIEW, "No box in view. Turn slowly to scan.", Mark.WRONG, "is in view"),
        (IN_VIEW, "Caution, chair ahead at 1 metre. Turn left 30 degrees, then move 4 metres to the box.", Mark.PARTLY,
         "not in the way"),
        (HINDERED, "Caution, chair 20 degrees left at 1.5 metres. Turn left 30 degrees, then move 4 metres to the box.",
         Mark.RIGHT, "warns of the chair"),
        (HINDERED, "Caution, box 20 degrees left at 1.5 metres. Turn left 30 degrees, then move 4 metres to the box.",
         Mark.RIGHT, "by another name"),
        (HINDERED, "Turn left 30 degrees, then move 4 metres to the box.", Mark.PARTLY, "does not warn of the chair"),
        (GONE, "No lift in view. Turn slowly to scan.", Mark.RIGHT, "the answer says so"),
        (GONE, "Turn left 30 degrees, then move 4 metres to the lift.", Mark.WRONG, "does not say so"),
        (GONE, "No lift in view. Turn left 30 degrees, then move 4 metres to the door.", Mark.WRONG, "supports"),
        (SIGNED, f"{TO_SIGN} The exit sign points left.",
         Mark.RIGHT, "the way to the exit sign"),
        (SIGNED, f"{TO_SIGN} The exit sign points right.",
         Mark.WRONG, "misreads"),
        (SIGNED, TO_SIGN, Mark.PARTLY, "points"),
        (SIGNED, "No exit in view. Turn right 40 degrees, then move 4 metres to the exit sign.", Mark.WRONG, " off"),
        (SIGNED, "No exit in view. Turn slowly to scan.", Mark.PARTLY, "does not use the exit sign"),
        (BLOCKED, "Caution, chair 20 degrees left at 1.5 metres.", Mark.RIGHT, "warns of the chair"),
        (BLOCKED, "Nothing found in the way for 3 metres.", Mark.WRONG, "does not warn"),
        (CLEAR, "Nothing found in the way for 3 metres.", Mark.RIGHT, "rightly nothing"),
        (CLEAR, "Plant 20 degrees left at 2 metres.", Mark.PARTLY, "does not say that nothing"),
        (CLEAR, "Caution, chair ahead at 1 metre.", Mark.WRONG, "not in the way"),
        (UNKNOWN, "I do not know that place.", Mark.RIGHT, "no direction"),
        (UNKNOWN, "Turn left 30 degrees, then move 4 metres to the door.", Mark.WRONG, "cannot know"),
        (UNKNOWN, "Turn slowly to scan.", Mark.PARTLY, "does not say"),
    ],
)  # fmt: skip
def test_verdicts(truth: Truth, text: str, mark: Mark, reason: str) -> None:
    status = Status.NOT_VISIBLE if text.startswith("No ") else Status.OK
    verdict = verdict_of(instruction(text, status), truth)
    assert verdict.mark is mark, verdict
    assert reason in str(verdict)
    assert str(verdict).startswith(mark.value.upper())


def test_an_answer_that_was_withheld_is_neither_right_nor_wrong() -> None:
    unsure = instruction("I am not sure.", Status.UNSURE, "two opposite turns; the model wrote 'x'")
    verdict = verdict_of(unsure, IN_VIEW)
    assert verdict.mark is Mark.WITHHELD
    assert "two opposite turns" in str(verdict)
    assert "the model wrote" not in str(verdict)


@pytest.mark.parametrize("status", [Status.ERROR, Status.NO_IMAGE, Status.STALE_IMAGE, Status.NOT_READY])
def test_no_answer_is_a_failure_of_the_system(status: Status) -> None:
    verdict = verdict_of(instruction("Something went wrong.", status, "why"), IN_VIEW)
    assert verdict.mark is Mark.FAILED
    assert status.name in str(verdict)
    assert verdict_of(None, IN_VIEW).mark is Mark.FAILED
