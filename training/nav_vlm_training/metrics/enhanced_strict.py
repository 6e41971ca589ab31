"""The Enhanced BERTScore made strict: factors that are multiplied, so that a fluent text cannot hide a wrong turn.

    strict = BERTScore F1 x steps x direction x order x hazards

What both texts tell the wearer to do is read by nav_vlm_node.language. Each factor is in 0..1, and 1 for the same
steps; together they are 1 only for the same steps. Words that say the same steps otherwise change nothing but F1.

- steps: 0.2 + 0.8 F1 of the steps but for warnings; a step counts by how far landmark and distance agree.
- direction: the worst agreement of any direction: where the wearer is sent first, each turn, each thing located. It is
  the cosine of the angle between them, 0 to the other side; and half of what it was where only one text has a side.
- order: the share of the common steps that stand in the same order.
- hazards: how many of the reference's warnings are given (none: 0), times (1 + right ones) / (1 + those given): a
  needless warning costs less than a missing one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
import numpy.typing as npt

from nav_vlm_node.instruction import Action, Step
from nav_vlm_node.language import Parsed, parse
from nav_vlm_node.score import DIRECTION_TOLERANCE, OFF_CENTRE, in_order, side, told, wrap

FloatArray = npt.NDArray[np.float64]
TEXT_SHARE = 0.2  # what is left of the score where no step is shared: the texts may still say the same otherwise
ONE_UNSTATED = 0.5  # agreement where only one of two texts states a direction
UNNAMED, OTHER_NAME = 0.8, 0.5  # agreement of a landmark with one that is not named, with another one
UNMEASURED = 0.8  # agreement of a distance with one that is not stated
_SIDES = re.compile(r"\b(left|right)\b")


@dataclass(frozen=True)
class StrictScores:
    """total, steps, direction, order, hazards: [N] in 0..1, one per pair of texts; total has all factors, and F1."""

    total: FloatArray
    steps: FloatArray
    direction: FloatArray
    order: FloatArray
    hazards: FloatArray


def strict_scores(references: Sequence[str], candidates: Sequence[str], bert_f1: FloatArray) -> StrictScores:
    """The scores of each candidate against the reference at the same place; bert_f1: [N], `BertScores.f1`."""
    factors = np.array(
        [compare_steps(parse(a), parse(b)) for a, b in zip(references, candidates, strict=True)], dtype=np.float64
    ).reshape(-1, 4)
    total = np.clip(np.asarray(bert_f1, dtype=np.float64), 0.0, 1.0) * factors.prod(axis=1)
    return StrictScores(total, *factors.T)


def compare_steps(meant: Parsed, said: Parsed) -> tuple[float, float, float, float]:
    """The factors steps, direction, order, hazards of what was `said` for what was `meant`."""
    pairs = pair_up(meant.steps, said.steps)
    common, ordered = in_order(said.steps, meant.steps)
    warned = [_likeness(a, b) * _agreement(a.bearing, b.bearing) for a, b in pairs if a.action is Action.CAUTION]
    others = [(a, b) for a, b in pairs if a.action is not Action.CAUTION]
    return (
        _steps(meant.steps, said.steps, sum(_likeness(a, b) for a, b in others)),
        _direction(meant, said, others),
        ordered / common if common else 1.0,
        _hazards(_warnings(meant.steps), _warnings(said.steps), sum(warned)),
    )


def pair_up(meant: Sequence[Step], said: Sequence[Step]) -> list[tuple[Step, Step]]:
    """Steps of one action in pairs (meant, said): first those with the same landmark, then the others, in their order.

    So the first turn is held against the first turn, even if a later one would fit: it comes first on the way.
    """
    pairs: list[tuple[Step, Step]] = []
    for action in Action:
        left = [step for step in said if step.action is action]
        alone: list[Step] = []
        for step in (step for step in meant if step.action is action):
            same = next((other for other in left if other.landmark == step.landmark), None)
            if same is None:
                alone.append(step)
            else:
                left = [other for other in left if other is not same]
                pairs.append((step, same))
        pairs += zip(alone, left, strict=False)
    return pairs


def _warnings(steps: Sequence[Step]) -> int:
    return sum(step.action is Action.CAUTION for step in steps)


def _steps(meant: Sequence[Step], said: Sequence[Step], alike: float) -> float:
    count = len(meant) + len(said) - _warnings(meant) - _warnings(said)
    return TEXT_SHARE + (1 - TEXT_SHARE) * (2 * alike / count) if count else 1.0


def _hazards(meant: int, said: int, right: float) -> float:
    recall = right / meant if meant else 1.0
    return recall * (1 + right) / (1 + said)


def _direction(meant: Parsed, said: Parsed, pairs: Sequence[tuple[Step, Step]]) -> float:
    found = [_agreement(told(meant.steps)[0], told(said.steps)[0])]
    found += [_agreement(a.bearing, b.bearing) for a, b in pairs]
    # what was not understood, such as "do not turn left", has no step but may have a side
    sides = [_SIDES.findall(" ".join(parsed.unparsed).lower()) for parsed in (meant, said)]
    found += [1.0 if a == b else ONE_UNSTATED for a, b in zip_longest(*sides)]
    return min(found)


def _agreement(meant: float, said: float) -> float:
    """Of two bearings [rad]; NaN for unstated ones."""
    if math.isnan(meant) or math.isnan(said):
        return 1.0 if math.isnan(meant) and math.isnan(said) else ONE_UNSTATED
    off = abs(wrap(said - meant))
    if off > DIRECTION_TOLERANCE and abs(meant) >= OFF_CENTRE and side(meant) * side(said) < 0:
        return 0.0
    return max(0.0, math.cos(off))


def _likeness(meant: Step, said: Step) -> float:
    """Of two steps of one action, by landmark and distance."""
    named = 1.0
    if meant.landmark != said.landmark:
        named = OTHER_NAME if meant.landmark and said.landmark else UNNAMED
    far = sorted((meant.distance, said.distance))
    if math.isnan(meant.distance) or math.isnan(said.distance):
        return named * (1.0 if math.isnan(meant.distance) and math.isnan(said.distance) else UNMEASURED)
    return named * (1.0 if far[0] == far[1] else 0.5 + 0.5 * max(0.0, far[0]) / far[1])
