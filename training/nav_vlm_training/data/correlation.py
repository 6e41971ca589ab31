"""How two columns of numbers go together: Spearman, Kendall, point-biserial, with bootstrap intervals. numpy only."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence

import numpy as np
import numpy.typing as npt

from nav_vlm_node.instruction import NAN
from nav_vlm_node.score import Share

Numbers = npt.NDArray[np.float64]
Measure = Callable[[Numbers, Numbers], float]
RESAMPLES = 1000
FEWEST = 8  # clusters; resampling fewer says nothing


def ranks(values: Numbers) -> Numbers:
    """The rank of each value from 1; equal values share the mean of theirs."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return np.asarray((last - (count - 1) / 2)[place], np.float64)


def pearson(x: Numbers, y: Numbers) -> float:
    """The product-moment correlation; NaN where a column does not vary."""
    if len(x) < 2 or x.min() == x.max() or y.min() == y.max():
        return NAN
    a, b = (v / np.abs(v).max() for v in (x, y))  # or the squares of large numbers overflow
    a, b = a - a.mean(), b - b.mean()
    scale = math.sqrt(float(a @ a)) * math.sqrt(float(b @ b))
    return max(-1.0, min(1.0, float(a @ b) / scale)) if scale > 0 else NAN


def spearman(x: Numbers, y: Numbers) -> float:
    """The correlation of the ranks; NaN where a column does not vary."""
    return pearson(ranks(x), ranks(y))


def kendall(x: Numbers, y: Numbers) -> float:
    """Kendall's tau-b, which allows for ties (Kendall 1945); NaN where a column does not vary.

    Takes len(x) times the number of different values of y.
    """
    if len(x) < 2 or x.min() == x.max() or y.min() == y.max():
        return NAN
    levels = [np.sort(x[y == level]) for level in np.unique(y)]
    balance = 0.0  # concordant less discordant pairs
    lower = levels[0]
    for level in levels[1:]:
        below, above = np.searchsorted(lower, level, "left"), np.searchsorted(lower, level, "right")
        balance += float(below.sum()) - float((len(lower) - above).sum())
        lower = np.sort(np.concatenate([lower, level]))
    pairs = len(x) * (len(x) - 1) / 2
    free = [pairs - float((c * (c - 1) / 2).sum()) for c in (np.unique(v, return_counts=True)[1] for v in (x, y))]
    return balance / math.sqrt(free[0] * free[1])


def point_biserial(x: Numbers, yes: Numbers) -> float:
    """The correlation of a number with a yes (1) or no (0); NaN where one of them does not vary."""
    return pearson(x, yes)


def with_interval(
    measure: Measure, x: Sequence[float], y: Sequence[float], clusters: Sequence[Hashable], seed: int = 0,
    resamples: int = RESAMPLES,
) -> Share:  # fmt: skip
    """`measure` of the rows in which both are numbers, with its 95 % percentile bootstrap interval.

    clusters: rows that hang together (answers about one picture) are drawn together. Resamples in which the measure is
    not defined do not count; n is the number of rows. The interval is NaN where there are fewer than FEWEST clusters.
    """
    a, b = np.asarray(x, np.float64), np.asarray(y, np.float64)
    good = np.isfinite(a) & np.isfinite(b)
    a, b = a[good], b[good]
    value = measure(a, b)
    if math.isnan(value):
        return Share(NAN, NAN, NAN, len(a))
    numbers = {name: i for i, name in enumerate(dict.fromkeys(clusters))}
    of = np.array([numbers[name] for name in clusters])[good]
    rows = [np.flatnonzero(of == number) for number in np.unique(of)]
    if len(rows) < FEWEST:
        return Share(value, NAN, NAN, len(a))
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(resamples):
        drawn = np.concatenate([rows[i] for i in rng.integers(0, len(rows), len(rows))])
        found.append(measure(a[drawn], b[drawn]))
    kept = [one for one in found if not math.isnan(one)]
    low, high = np.quantile(kept, (0.025, 0.975)) if kept else (NAN, NAN)
    return Share(value, float(low), float(high), len(a))
