"""Whether an answer was right, in words. The judging itself is `nav_vlm_node.score`'s."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

from nav_vlm_node.instruction import Action, Instruction, Status, Step
from nav_vlm_node.score import DIRECTION_TOLERANCE, Answer, Outcome, Truth, judge, told, wrap


class Mark(enum.Enum):
    """The one word for an answer."""

    RIGHT = "right"
    PARTLY = "partly"  # the main thing is right: where to go; a hazard or a distance is not
    WRONG = "wrong"
    WITHHELD = "withheld"  # the guard let no direction out
    FAILED = "failed"  # the system gave no answer at all


ANSWERS = (Status.OK, Status.NOT_VISIBLE)


@dataclass(frozen=True)
class Verdict:
    """mark, and the reasons for it, each a short clause."""

    mark: Mark
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.mark.value.upper()}: {'; '.join(self.reasons)}"


def verdict_of(instruction: Instruction | None, truth: Truth) -> Verdict:
    """What to think of `instruction`; None stands for no answer at all."""
    if instruction is None:
        return Verdict(Mark.FAILED, ("no answer came",))
    status = instruction.status
    if status is Status.UNSURE:
        why, _, _ = instruction.message.partition("; the model wrote")
        return Verdict(Mark.WITHHELD, (f"the guard let no direction out: {why or 'unsure'}",))
    if status not in ANSWERS:
        return Verdict(Mark.FAILED, (f"{status.name}: {instruction.message or instruction.text}",))
    # The scorer reads NOT_VISIBLE from the steps; its status only says the same once more.
    outcome = judge(Answer(instruction.steps), truth)
    wrong, lacking, good = _main(outcome)
    missing, fine = _hazards(outcome)
    if truth.kind == "hazard":  # here the hazard is the main thing
        wrong, missing = missing, []
    mark = Mark.WRONG if wrong else Mark.PARTLY if lacking or missing else Mark.RIGHT
    return Verdict(mark, (*wrong, *missing, *lacking, *good, *fine))


Clauses = list[str]


def _main(outcome: Outcome) -> tuple[Clauses, Clauses, Clauses]:
    """What is wrong, lacking and good about where the answer sends the wearer."""
    truth, hits = outcome.truth, outcome.hits
    if truth.kind == "unknown":
        says_so = _says(outcome, Action.UNKNOWN)
        if not hits["unknown_no_direction"]:
            return ["it gives a direction to a place that it cannot know"], [], []
        return [], [] if says_so else ["it does not say that the place is unknown"], ["no direction, rightly"]
    if truth.kind != "target":
        if truth.kind == "hazard" and not truth.hazards and not _says(outcome, Action.NO_HAZARD):
            return [], ["it does not say that nothing was found in the way"], []
        return [], [], []
    return _visible(outcome) if truth.visible else _hidden(outcome)


def _says(outcome: Outcome, action: Action) -> bool:
    return any(step.action is action for step in outcome.answer.steps)


def _visible(outcome: Outcome) -> tuple[Clauses, Clauses, Clauses]:
    if not outcome.hits["coverage"]:
        return ["it is in view, and no way to it is told"], [], []
    off = f"direction {math.degrees(outcome.direction_error):.0f} degrees off"
    if not outcome.hits["direction_accuracy"]:
        return [f"{off}, to the other side" if outcome.hits.get("reversal_rate") else off], [], []
    said = told(outcome.answer.steps, outcome.truth.target)[1]
    distance = "no distance" if math.isnan(said) else f"distance {abs(said - outcome.truth.distance):.1f} m off"
    if outcome.hits["distance_within_25"]:
        return [], [], [off, distance]
    return [], [distance], [off]


def _hidden(outcome: Outcome) -> tuple[Clauses, Clauses, Clauses]:
    """Not in view: it must be said, and the wearer sent only where something in view supports it."""
    truth, steps = outcome.truth, outcome.answer.steps
    if not outcome.hits["visibility_accuracy"]:
        return ["it is not in view, and the answer does not say so"], [], []
    good = ["it is not in view, and the answer says so"]
    (way, _), (told_way, _) = told(truth.steps), told(steps)
    goal = next((step.landmark for step in truth.steps if step.action is Action.MOVE), "")
    if math.isnan(way):
        return ([], [], good) if math.isnan(told_way) else (["it gives a direction that nothing supports"], [], good)
    if math.isnan(told_way):
        return [], [f"it does not use the {goal}"], good
    off = abs(wrap(told_way - way))
    if off > DIRECTION_TOLERANCE:
        return [f"the way to the {goal} is {math.degrees(off):.0f} degrees off"], [], good
    sign, said = _pointing(truth.steps), _pointing(steps)
    if not math.isnan(sign) and not math.isnan(said) and abs(wrap(said - sign)) > DIRECTION_TOLERANCE:
        return ["it misreads the sign's arrow"], [], good
    lacking = ["it does not say where the sign points"] if math.isnan(said) and not math.isnan(sign) else []
    return [], lacking, [*good, f"the way to the {goal} is {math.degrees(off):.0f} degrees off"]


def _pointing(steps: tuple[Step, ...]) -> float:
    return next((step.bearing for step in steps if step.action is Action.SIGN), math.nan)


def _hazards(outcome: Outcome) -> tuple[Clauses, Clauses]:
    """What is wrong and what is good about its warnings."""
    if outcome.truth.hazards:
        name = outcome.truth.hazards[0].landmark
        if outcome.hits["hazard_recall"]:
            named = any(step.landmark == name for step in outcome.answer.steps if step.action is Action.CAUTION)
            return [], [f"warns of the {name}" if named else f"warns where the {name} is, by another name"]
        if outcome.cautions:
            return [f"warns of something, but not of the {name} where it is"], []
        return [f"does not warn of the {name}"], []
    if outcome.hits.get("false_alarm_rate"):
        return ["warns of something that is not in the way"], []
    return [], ["rightly nothing in the way"] if outcome.truth.kind == "hazard" else []
