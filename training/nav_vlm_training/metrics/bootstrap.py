"""Intervals by the bootstrap (Efron 1979): of a mean, and of how two systems differ on the same questions.

Questions about one picture or scene are no independent evidence. Where `clusters` says which belong together, clusters
are drawn, each with all its questions; without, the interval is too narrow.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nav_vlm_node.errors import UserError
from nav_vlm_node.instruction import NAN

FloatArray = npt.NDArray[np.float64]
ROUNDS, LEVEL = 2000, 0.95
_DRAWN_AT_ONCE = 1_000_000  # numbers; bounds the memory


@dataclass(frozen=True)
class Interval:
    """A mean with its interval. n: values that count; clusters: the independent ones.

    All NaN where nothing counts; low and high NaN where there is only one cluster, which says nothing of others.
    """

    value: float
    low: float
    high: float
    n: int
    clusters: int

    def to_json(self) -> dict[str, float | int | None]:
        """JSON knows no NaN: null stands for it."""
        found = {name: getattr(self, name) for name in ("value", "low", "high", "n", "clusters")}
        return {name: None if number != number else number for name, number in found.items()}


@dataclass(frozen=True)
class Difference(Interval):
    """The mean of the first minus that of the second; n: questions that count for either.

    p: how often such a difference or a larger one, to either side, would be drawn if there were none; at least
    1 / (rounds + 1).
    """

    p: float

    def to_json(self) -> dict[str, float | int | None]:
        """As an `Interval`, with p."""
        return {**super().to_json(), "p": None if self.p != self.p else self.p}


def bootstrap(
    values: Sequence[float] | FloatArray,
    clusters: Sequence[Hashable] | None = None,
    *,
    rounds: int = ROUNDS,
    level: float = LEVEL,
    seed: int = 0,
) -> Interval:
    """The mean of `values`, [N], and its percentile interval; NaN for a value that does not count.

    clusters: [N], of which picture or scene each is. Raises UserError for numbers that do not fit together.
    """
    sums, counts = _by_cluster([values], clusters, rounds, level)
    kept = counts[0] > 0
    sums, counts = sums[:, kept], counts[:, kept]
    n, found = int(counts.sum()), int(kept.sum())
    if not n:
        return Interval(NAN, NAN, NAN, 0, 0)
    means = np.concatenate([_means(sums[0], counts[0], drawn) for drawn in _draws(found, rounds, seed)])
    low, high = _interval(means, level, found)
    return Interval(float(sums.sum() / n), low, high, n, found)


def paired_difference(
    first: Sequence[float] | FloatArray,
    second: Sequence[float] | FloatArray,
    clusters: Sequence[Hashable] | None = None,
    *,
    rounds: int = ROUNDS,
    level: float = LEVEL,
    seed: int = 0,
) -> Difference:
    """Mean of `first` minus mean of `second`, both [N] for the same questions, which are drawn together.

    A value that is NaN does not count for its system, as where only one of two answers has a distance to be right.
    """
    if len(first) != len(second):
        raise UserError(f"systems compare on the same questions only: {len(first)} values against {len(second)}")
    sums, counts = _by_cluster([first, second], clusters, rounds, level)
    kept = counts.sum(axis=0) > 0
    sums, counts = sums[:, kept], counts[:, kept]
    n = int((~(np.isnan(np.asarray(first, float)) & np.isnan(np.asarray(second, float)))).sum())
    found = int(kept.sum())
    if not counts.sum(axis=1).all():
        return Difference(NAN, NAN, NAN, n, found, NAN)
    value = float(sums[0].sum() / counts[0].sum() - sums[1].sum() / counts[1].sum())
    drawn = np.concatenate(
        [
            _means(sums[0], counts[0], rows) - _means(sums[1], counts[1], rows)
            for rows in _draws(found, rounds, seed)
        ]
    )  # fmt: skip
    drawn = drawn[~np.isnan(drawn)]  # draws in which one system has no value at all
    low, high = _interval(drawn, level, found)
    if found < 2 or not len(drawn):
        return Difference(value, low, high, n, found, NAN)
    tail = min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
    return Difference(value, low, high, n, found, min(1.0, 2 * (tail + 1) / (len(drawn) + 1)))


def _by_cluster(
    systems: Sequence[Sequence[float] | FloatArray],
    clusters: Sequence[Hashable] | None,
    rounds: int,
    level: float,
) -> tuple[FloatArray, FloatArray]:
    """[systems, K] the sum of the values of each cluster, and how many there are."""
    if rounds < 1 or not 0 < level < 1:
        raise UserError(f"rounds must be at least 1 and level between 0 and 1, not {rounds} and {level}")
    values = np.array([np.asarray(system, dtype=np.float64) for system in systems])  # [systems, N]
    if clusters is not None and len(clusters) != values.shape[1]:
        raise UserError(f"each value needs its cluster: {values.shape[1]} values, {len(clusters)} clusters")
    numbers: dict[Hashable, int] = {}
    index = [numbers.setdefault(one, len(numbers)) for one in (clusters or range(values.shape[1]))]
    counted = ~np.isnan(values)
    sums = [np.bincount(index, weights=np.where(c, v, 0.0), minlength=1) for v, c in zip(values, counted, strict=True)]
    counts = [np.bincount(index, weights=c, minlength=1) for c in counted]
    return np.array(sums), np.array(counts)


def _draws(clusters: int, rounds: int, seed: int) -> Iterator[npt.NDArray[np.int64]]:
    """[some rounds, K] at a time: which clusters are drawn, with replacement."""
    generator = np.random.default_rng(seed)
    at_once = max(1, _DRAWN_AT_ONCE // max(1, clusters))
    for start in range(0, rounds, at_once):
        yield generator.integers(clusters, size=(min(at_once, rounds - start), clusters))


def _means(sums: FloatArray, counts: FloatArray, drawn: npt.NDArray[np.int64]) -> FloatArray:
    """[rounds] the mean of the values in the clusters drawn; NaN where there are none."""
    total, count = sums[drawn].sum(axis=1), counts[drawn].sum(axis=1)
    return np.divide(total, count, out=np.full(len(drawn), NAN), where=count > 0)


def _interval(drawn: FloatArray, level: float, clusters: int) -> tuple[float, float]:
    if clusters < 2 or not len(drawn):
        return NAN, NAN
    low, high = np.quantile(drawn, ((1 - level) / 2, (1 + level) / 2))
    return float(low), float(high)
