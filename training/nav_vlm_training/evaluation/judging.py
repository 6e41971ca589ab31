"""From texts to figures: answers read and checked as the node does it, judged by nav_vlm_node.score, and counted."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from nav_vlm_node import guard
from nav_vlm_node.instruction import Action, Status
from nav_vlm_node.language import parse
from nav_vlm_node.score import MEASURES, Answer, Outcome, Share, judge
from nav_vlm_node.score_curves import Risk, risk_coverage
from nav_vlm_node.score_shares import clustered
from nav_vlm_training.data.samples import Sample
from nav_vlm_training.metrics.bootstrap import paired_difference

HELD_OUT_ROOM_SPLITS = ("heldout_room", "heldout_both")
HELD_OUT = "heldout"
COMPARED = "direction_accuracy"
BIN = 15  # degrees, of the confusion of directions
WIDEST = 60  # degrees: what lies beyond is one bin on each side


@dataclass(frozen=True)
class Judged:
    """One answer and how it came out. why: what the guard has against it, "" if nothing. confidence: 0..1."""

    sample: Sample
    text: str
    outcome: Outcome
    why: str = ""
    confidence: float = 1.0

    @property
    def right(self) -> bool:
        """Whether nothing is wrong with it that is measured."""
        bad = ("reversal_rate", "false_clear_rate", "false_alarm_rate")
        return all(hit != (name in bad) for name, hit in self.outcome.hits.items())


def read_answer(text: str, confidence: float = 1.0) -> tuple[Answer, str]:
    """What the wearer would be told, by the guard's usual limits, and why the guard would keep it back."""
    parsed = parse(text)
    why = guard.objection(text, parsed.steps, parsed.unparsed, confidence, guard.Limits())
    if why is not None:
        return Answer(tuple(s for s in parsed.steps if s.action is Action.CAUTION), Status.UNSURE), why
    unseen = any(step.action is Action.NOT_VISIBLE for step in parsed.steps)
    return Answer(parsed.steps, Status.NOT_VISIBLE if unseen else Status.OK), ""


def judge_text(sample: Sample, text: str, confidence: float = 1.0) -> Judged:
    """`text` as the answer to `sample`; one that no model wrote is sure of itself."""
    answer, why = read_answer(text, confidence)
    return Judged(sample, text, judge(answer, sample.truth), why, confidence)


def scores(judged: Sequence[Judged]) -> dict[str, Any]:
    """The measures of `nav_vlm_node.score` as `evaluate --json` has them; the intervals know which questions are of one
    scene."""
    return {"n": len(judged), **{measure: share_of(judged, measure).to_json() for measure in MEASURES}}


def share_of(judged: Sequence[Judged], measure: str) -> Share:
    """One of those measures."""
    parts = [above_and_below(measure, one.outcome) for one in judged]
    above, below = ([part[k] for part in parts] for k in (0, 1))
    return clustered(above, below, [one.sample.scene for one in judged])


def share_unsure(judged: Sequence[Judged]) -> Share:
    """Of answers that the guard would keep back."""
    kept_back = [float(bool(one.why)) for one in judged]
    return clustered(kept_back, [1.0] * len(judged), [one.sample.scene for one in judged])


def above_and_below(measure: str, outcome: Outcome) -> tuple[float, float]:
    """What a question adds above and below the line of a measure; 0 and 0 where it does not count."""
    if measure == "landmark_f1":
        right, wrong, missed = outcome.landmarks
        return right, right + (wrong + missed) / 2
    if measure == "hazard_precision":
        return outcome.called_right, outcome.cautions
    return float(outcome.hits.get(measure, False)), float(measure in outcome.hits)


def groups(judged: Sequence[Judged]) -> dict[str, dict[str, Any]]:
    """The measures by phrasing, texture, room and split."""
    by: dict[str, Callable[[Sample], str]] = {
        "phrasing": lambda s: s.phrasing,
        "texture": lambda s: s.texture,
        "room": lambda s: s.room,
        "split": lambda s: s.split,
    }
    return {
        name: {
            value: scores([one for one in judged if of(one.sample) == value])
            for value in sorted({of(one.sample) for one in judged})
        }
        for name, of in by.items()
    }


def doubts(judged: Sequence[Judged]) -> dict[str, Any]:
    """What a confidence limit would cost and save: a risk-coverage curve for wrong directions and one for reversals.

    The answers are judged anew without the guard's limit, at which the curves would end.
    """
    outcomes = [judge_text(one.sample, one.text).outcome for one in judged]
    confidences = [one.confidence for one in judged]
    risks: tuple[Risk, ...] = ("wrong_direction", "reversal")
    return {risk: risk_coverage(outcomes, confidences, risk).to_json() for risk in risks}


def margin(first: Sequence[Judged], second: Sequence[Judged]) -> dict[str, Any]:
    """Direction accuracy of the first system minus that of the second, on the same questions, scenes drawn together."""
    ours, theirs = ([float(one.outcome.hits.get(COMPARED, math.nan)) for one in part] for part in (first, second))
    return paired_difference(ours, theirs, [one.sample.scene for one in first]).to_json()


def differences(judged: Sequence[Judged]) -> dict[str, Any]:
    """What new words, textures and rooms cost: held-out minus familiar direction accuracy, in points.

    Only one thing is new at a time: new words are compared within the splits that ask in both, new textures and rooms
    on familiar words, against scenes in which nothing is new.
    """
    both = {
        split
        for split in {one.sample.split for one in judged}
        if len({one.sample.phrasing for one in judged if one.sample.split == split}) > 1
    }

    def room(s: Sample) -> str:
        return HELD_OUT if s.split in HELD_OUT_ROOM_SPLITS else "train"

    old_words = [one for one in judged if one.sample.phrasing != HELD_OUT]
    compared: dict[str, tuple[list[Judged], Callable[[Sample], str]]] = {
        "phrasing": ([one for one in judged if one.sample.split in both], lambda s: s.phrasing),
        "texture": ([one for one in old_words if room(one.sample) != HELD_OUT], lambda s: s.texture),
        "room": ([one for one in old_words if one.sample.texture != HELD_OUT], room),
    }
    found = {}
    for name, (part, of) in compared.items():
        new = share_of([one for one in part if of(one.sample) == HELD_OUT], COMPARED)
        old = share_of([one for one in part if of(one.sample) != HELD_OUT], COMPARED)
        if new.n and old.n:
            found[name] = {"train": old.to_json(), HELD_OUT: new.to_json(), **_points(new, old)}
    return found


def _points(a: Share, b: Share) -> dict[str, float]:
    """a - b in percentage points, with its 95 % interval (Newcombe 1998, method 10)."""
    difference = a.value - b.value
    low = difference - math.hypot(a.value - a.low, b.high - b.value)
    high = difference + math.hypot(a.high - a.value, b.value - b.low)
    return {name: round(100 * x, 2) for name, x in (("points", difference), ("low", low), ("high", high))}


def column_names() -> list[str]:
    """The bins of a direction, from the left to the right, and what is none of them."""
    half = [f"{edge}" for edge in range(BIN, WIDEST + 1, BIN)]
    left = [f"left {edge}" for edge in reversed(half)]
    return [*left, "ahead", *(f"right {edge}" for edge in half), "behind", "none"]


def column(direction: float) -> str:
    """The bin of a direction [rad]; those of 15 degrees around 0, 15, 30, ...; the outermost reach to 90."""
    if math.isnan(direction):
        return "none"
    degrees = math.degrees(direction)
    if abs(degrees) > 90:
        return "behind"
    nearest = min(WIDEST, BIN * int((abs(degrees) + BIN / 2) // BIN))
    return "ahead" if not nearest else f"{'left' if degrees > 0 else 'right'} {nearest}"


def confusion(judged: Sequence[Judged]) -> dict[str, dict[str, int]]:
    """How often a visible target in one direction (rows) was answered with another (columns). Zeros are left out."""
    counts: Counter[tuple[str, str]] = Counter()
    for one in judged:
        truth = one.outcome.truth
        if truth.kind == "target" and truth.visible:
            counts[column(truth.bearing), column(one.outcome.direction)] += 1
    names = column_names()
    return {
        row: {name: counts[row, name] for name in names if counts[row, name]}
        for row in names
        if any(counts[row, name] for name in names)
    }
