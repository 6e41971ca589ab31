"""Whether people who judged the same things agree: Cohen's kappa for two, Krippendorff's alpha for any number."""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nav_vlm_node.instruction import NAN
from nav_vlm_node.score import Share, wilson
from nav_vlm_training.data.labelstudio import Annotation, way_of

RESAMPLES = 1000
# What may be concluded from an alpha (Krippendorff, Content Analysis, 2004, section 11.4.2).
RELIABLE, TENTATIVE = 0.8, 0.667
Table = Mapping[Any, Mapping[str, str]]  # what was judged -> who -> the judgement


@dataclass(frozen=True)
class Agreement:
    """How far people agree on one question about `units` things.

    alpha: Krippendorff's, nominal, with a 95 % bootstrap interval over the things; NaN where everyone always said the
    same one thing, which shows nothing. kappas: Cohen's of two people, over what both judged, and how many that is.
    same: the share of all pairs of judgements on the same thing that are equal. split: things on which no two agree.
    """

    units: int
    people: tuple[str, ...]
    alpha: Share
    kappas: Mapping[tuple[str, str], tuple[float, int]]
    same: Share
    split: tuple[Hashable, ...]

    def to_json(self) -> dict[str, Any]:
        """Ready for JSON; null where something is not defined."""
        return {
            "units": self.units,
            "annotators": list(self.people),
            "alpha": self.alpha.to_json(),
            "kappa": [
                {"annotators": list(pair), "value": None if math.isnan(kappa) else kappa, "n": n}
                for pair, (kappa, n) in self.kappas.items()
            ],
            "same": self.same.to_json(),
            "agree_on_none": len(self.split),
        }

    def verdict(self) -> str:
        """One line: what the figures allow."""
        if not self.units:
            return "nothing was judged by two people: let a second person judge some of it"
        if len(self.split) == self.units:
            return f"no two people agree on any of {self.units}: agree on the rules first, then judge again"
        if math.isnan(self.alpha.value):
            return "everyone gave the same one judgement throughout: that shows nothing about agreement"
        found = f"alpha {self.alpha.value:.2f} ({self.alpha.low:.2f} to {self.alpha.high:.2f})"
        if self.alpha.value >= RELIABLE:
            return f"{found}: reliable"
        return f"{found}: " + ("tentative conclusions only" if self.alpha.value >= TENTATIVE else "not reliable")


def cohen_kappa(first: Sequence[Hashable], second: Sequence[Hashable]) -> float:
    """Agreement of two people beyond chance (Cohen 1960), of their judgements on the same things in the same order.

    1 for perfect, 0 for chance; NaN where it is not defined: nothing was judged, or both said one thing throughout.
    """
    n = len(first)
    if n == 0 or len(second) != n:
        return NAN
    observed = sum(a == b for a, b in zip(first, second, strict=True)) / n
    left, right = Counter(first), Counter(second)
    chance = sum(left[value] * right[value] for value in left) / n**2
    return NAN if chance == 1 else (observed - chance) / (1 - chance)


def krippendorff_alpha(judgements: Sequence[Sequence[Hashable]]) -> float:
    """Agreement of any number of people on nominal judgements, of which some may be missing (Krippendorff 2011).

    judgements: for each thing those that were made. 1 for perfect, 0 for chance, negative for systematic
    disagreement; NaN where it is not defined: nothing was judged twice, or only one judgement ever occurs.
    """
    return _alpha(*_coincidences(judgements))


def agreement(table: Table, seed: int = 0, resamples: int = RESAMPLES) -> Agreement:
    """How far the people of `table` agree. What only one of them judged does not count."""
    both = {unit: made for unit, made in table.items() if len(made) > 1}
    people = tuple(sorted({who for made in both.values() for who in made}))
    judgements = [list(made.values()) for made in both.values()]
    equal = sum(a == b for made in judgements for a, b in itertools.combinations(made, 2))
    pairs = sum(math.comb(len(made), 2) for made in judgements)
    return Agreement(
        len(both), people, _interval(judgements, seed, resamples), _kappas(both, people), wilson(equal, pairs),
        tuple(unit for unit, made in both.items() if len(set(made.values())) == len(made)),
    )  # fmt: skip


def _coincidences(judgements: Sequence[Sequence[Hashable]]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Of each thing that was judged twice: its pairs that differ, weighed by 1 / (m - 1); counts [things, values]."""
    values = {value: i for i, value in enumerate(dict.fromkeys(v for made in judgements for v in made))}
    counts = np.zeros((len(judgements), len(values)))
    for row, made in enumerate(judgements):
        for value in made:
            counts[row, values[value]] += 1
    counts = counts[counts.sum(1) > 1]
    made = counts.sum(1)
    differing = (made**2 - (counts**2).sum(1)) / np.maximum(made - 1, 1)
    return differing, counts


def _alpha(differing: np.ndarray[Any, Any], counts: np.ndarray[Any, Any]) -> float:
    totals = counts.sum(0)
    n = totals.sum()
    by_chance = n**2 - (totals**2).sum()
    if n < 2 or by_chance == 0:
        return NAN
    return float(1 - (n - 1) * differing.sum() / by_chance)


def _interval(judgements: Sequence[Sequence[Hashable]], seed: int, resamples: int) -> Share:
    """Alpha with its percentile bootstrap interval; resamples in which it is not defined do not count."""
    differing, counts = _coincidences(judgements)
    value = _alpha(differing, counts)
    if math.isnan(value):
        return Share(NAN, NAN, NAN, len(counts))
    rng = np.random.default_rng(seed)
    drawn = (rng.integers(0, len(counts), len(counts)) for _ in range(resamples))
    again = [alpha for rows in drawn if not math.isnan(alpha := _alpha(differing[rows], counts[rows]))]
    low, high = np.quantile(again, (0.025, 0.975)) if again else (NAN, NAN)
    return Share(value, float(low), float(high), len(counts))


def _kappas(table: Table, people: Sequence[str]) -> dict[tuple[str, str], tuple[float, int]]:
    shared: defaultdict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for made in table.values():
        for pair in itertools.combinations(sorted(made), 2):
            shared[pair[0], pair[1]].append((made[pair[0]], made[pair[1]]))
    return {
        pair: (cohen_kappa(*zip(*judged, strict=True)), len(judged))
        for pair, judged in sorted(shared.items())
        if set(pair) <= set(people)
    }


def tables_of(annotations: Iterable[Annotation]) -> dict[str, Table]:
    """What can be compared: each choice by its name, and "way", where the answers in words send.

    A thing is a picture with its question, or what a task calls its "id"; of two works of one person on it the first
    counts.
    """
    found: defaultdict[str, defaultdict[Hashable, dict[str, str]]] = defaultdict(lambda: defaultdict(dict))
    for one in annotations:
        question = str(one.data.get("question") or one.texts.get("question", ""))
        unit = str(one.data.get("id") or "\t".join((str(one.data.get("picture") or one.data.get("image")), question)))
        for name, value in one.choices.items():
            found[name][unit].setdefault(one.annotator, value)
        if one.texts.get("answer"):
            found["way"][unit].setdefault(one.annotator, way_of(question, one.texts["answer"]))
    return {name: dict(table) for name, table in found.items()}
