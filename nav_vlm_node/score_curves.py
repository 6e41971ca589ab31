"""What a score alone does not show: whether confidence can be trusted, and how much is said.

`risk_coverage` says how wrong the answers are that a system is surest of; `words_per_answer` how long they are.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from nav_vlm_node.errors import UserError
from nav_vlm_node.instruction import NAN
from nav_vlm_node.score import Outcome

FloatArray = npt.NDArray[np.float64]
# What can be wrong with a direction: how far it is off [rad], more than 15 degrees or not, to the other side or not.
Risk = Literal["direction_error", "wrong_direction", "reversal"]

_WORD = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+(?:['’-][^\W\d_]+)*")


@dataclass(frozen=True)
class RiskCoverage:
    """The mean risk of the surest answers, by how many of the n questions they are the answers to.

    coverage, risk: [K], coverage ascending to `reach`, the share of questions that have a direction as their answer;
    risk in radians for direction_error, else a share. Answers of the same confidence are taken in together, in every
    order at once: the curve does not depend on the order of the questions.
    area: the mean of risk over the coverage up to `reach` (AURC, Geifman and El-Yaniv 2017), the lower the better; NaN
    where nothing was answered. least: the area if confidence told right from wrong without fail. Between two systems
    areas compare only where their reaches do; `risk_at` compares at one coverage.
    """

    measure: Risk
    n: int
    coverage: FloatArray
    risk: FloatArray
    area: float
    least: float

    @property
    def reach(self) -> float:
        """The share of the questions that have a direction as their answer."""
        return float(self.coverage[-1]) if len(self.coverage) else 0.0

    def risk_at(self, coverage: float) -> float:
        """The risk when the surest answers to this share of the questions are given; NaN beyond `reach`."""
        if not len(self.coverage) or not 0 < coverage <= self.reach:
            return NAN
        return float(np.interp(coverage, self.coverage, self.risk))

    def to_json(self, points: int = 20) -> dict[str, Any]:
        """{"measure", "n", "reach", "area", "least", "coverage": [...], "risk": [...]}; at most `points` points."""
        last = len(self.coverage) - 1
        kept = np.unique(np.linspace(0, last, points).round().astype(int)) if last >= 0 else np.arange(0)
        return {
            "measure": self.measure,
            "n": self.n,
            "reach": self.reach,
            "area": None if math.isnan(self.area) else self.area,
            "least": None if math.isnan(self.least) else self.least,
            "coverage": [float(self.coverage[index]) for index in kept],
            "risk": [float(self.risk[index]) for index in kept],
        }


def risk_coverage(
    outcomes: Sequence[Outcome], confidences: Sequence[float], measure: Risk = "wrong_direction"
) -> RiskCoverage:
    """The curve over all questions for which `measure` counts; confidences: one per outcome, the higher the surer.

    An answer without a direction is one that was not given, whatever its confidence. Judge the answers without a limit
    to their confidence, or the curve ends where that limit is. UserError for what does not fit together.
    """
    if measure not in get_args(Risk):
        raise UserError(f"a risk must be one of {', '.join(get_args(Risk))}, not {measure!r}")
    if len(outcomes) != len(confidences):
        raise UserError(f"each answer needs its confidence: {len(outcomes)} answers, {len(confidences)} confidences")
    counted = [
        (outcome, confidence)
        for outcome, confidence in zip(outcomes, confidences, strict=True)
        if ("reversal_rate" if measure == "reversal" else "direction_accuracy") in outcome.hits
    ]
    given = [(_risk(outcome, measure), confidence) for outcome, confidence in counted if outcome.hits["coverage"]]
    if any(math.isnan(confidence) for _, confidence in given):
        raise UserError("a confidence must be a number, not NaN; give 1 to an answer that is sure of itself")
    risks = np.array([risk for risk, _ in given], dtype=np.float64)
    sure = np.array([confidence for _, confidence in given], dtype=np.float64)
    counts = np.arange(1, len(risks) + 1)
    curve = _cumulated(risks, sure) / counts
    best = np.cumsum(np.sort(risks)) / counts
    return RiskCoverage(
        measure,
        len(counted),
        counts / max(1, len(counted)),
        curve,
        float(curve.mean()) if len(risks) else NAN,
        float(best.mean()) if len(risks) else NAN,
    )


def _risk(outcome: Outcome, measure: Risk) -> float:
    if measure == "direction_error":
        return outcome.direction_error
    return float(outcome.hits["reversal_rate"] if measure == "reversal" else not outcome.hits["direction_accuracy"])


def _cumulated(risks: FloatArray, sure: FloatArray) -> FloatArray:
    """[K] the sum of the risks of the k surest answers, the mean over all orders of equally sure ones."""
    if not len(risks):
        return risks
    _, group, sizes = np.unique(-sure, return_inverse=True, return_counts=True)
    means = np.bincount(group, weights=risks) / sizes
    return np.cumsum(np.repeat(means, sizes))


def count_words(text: str) -> int:
    """How many words are spoken: numbers and words, not marks; "1.5" and "o'clock" are one each."""
    return len(_WORD.findall(text))


@dataclass(frozen=True)
class Words:
    """Words per answer: the mean, the median, what 95 % stay within, the longest; all 0 where n is 0."""

    n: int
    mean: float
    p50: float
    p95: float
    longest: int

    def to_json(self) -> dict[str, float | int]:
        """{"n", "mean", "p50", "p95", "longest"}."""
        return {"n": self.n, "mean": self.mean, "p50": self.p50, "p95": self.p95, "longest": self.longest}


def words_per_answer(texts: Iterable[str]) -> Words:
    """The words of `texts`; an empty answer counts, with none."""
    counts = np.array([count_words(text) for text in texts], dtype=np.int64)
    if not len(counts):
        return Words(0, 0.0, 0.0, 0.0, 0)
    p50, p95 = np.percentile(counts, (50, 95))
    return Words(len(counts), float(counts.mean()), float(p50), float(p95), int(counts.max()))
