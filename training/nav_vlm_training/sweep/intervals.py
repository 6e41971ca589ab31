"""Intervals of figures that several trainings with different seeds share, by the bootstrap over scenes and seeds.

Two things are left to chance: which scenes were asked about, and which seed was trained with. Each round draws scenes
with replacement, the same for all seeds, and seeds with replacement (the two-way "pigeonhole" bootstrap of Owen 2007).
With a single seed the interval is about scenes alone. With few seeds it is a little too narrow for them.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nav_vlm_node.instruction import NAN
from nav_vlm_training.metrics.bootstrap import LEVEL, ROUNDS
from nav_vlm_training.sweep.outcomes import Outcomes

FloatArray = npt.NDArray[np.float64]
BySeed = Mapping[int | None, Outcomes]  # None: nothing is drawn, it stands for every seed


@dataclass(frozen=True)
class Interval:
    """A share, mean over seeds, with its 95 % interval. n: questions that count. NaN where there is nothing to tell."""

    value: float
    low: float
    high: float
    n: int
    scenes: int
    seeds: int

    def to_json(self) -> dict[str, float | int | None]:
        """JSON knows no NaN: null stands for it."""
        return {name: None if number != number else number for name, number in vars(self).items()}


@dataclass(frozen=True)
class Difference(Interval):
    """The first minus the second. p: how often such a difference, to either side, would be drawn if there were none."""

    p: float


def interval(outcomes: BySeed, measure: str, *, rounds: int = ROUNDS, seed: int = 0) -> Interval:
    """Of a measure over the seeds of a row."""
    table = _Table([outcomes], measure)
    values, drawn = table.of(0), table.drawn(rounds, seed)[0]
    return Interval(_mean(values), *_limits(drawn, table.scenes), table.n, table.scenes, len(values))


def difference(first: BySeed, second: BySeed, measure: str, *, rounds: int = ROUNDS, seed: int = 0) -> Difference:
    """Of a measure between two rows, on the questions and seeds that both have; scenes and seeds are drawn together."""
    table = _Table([first, second], measure)
    one, other = table.of(0), table.of(1)
    value = _mean(one) - _mean(other) if len(one) else NAN
    drawn = np.subtract(*table.drawn(rounds, seed))
    drawn = drawn[~np.isnan(drawn)]
    p = NAN
    if table.scenes > 1 and len(drawn):
        tail = min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
        p = min(1.0, 2 * (tail + 1) / (len(drawn) + 1))
    return Difference(value, *_limits(drawn, table.scenes), table.n, table.scenes, len(one), p)


class _Table:
    """above, below: [rows, S, K], a measure's sums by row, seed and scene, over what all rows have."""

    def __init__(self, rows: list[BySeed], measure: str) -> None:
        seeds = _common_seeds(rows)
        chosen = [[row[seed] if seed in row else row[None] for seed in seeds] for row in rows]
        asked = [{number for one in row for number in one.numbers} for row in chosen]
        common = set.intersection(*asked) if seeds else set()
        of_scene = {
            number: scene
            for row in chosen
            for one in row
            for number, scene in zip(one.numbers, one.scenes, strict=True)
            if number in common
        }
        places = {scene: index for index, scene in enumerate(sorted(set(of_scene.values())))}
        sums = np.zeros((2, len(rows), len(seeds), len(places)))
        counted: set[int] = set()
        for i, row in enumerate(chosen):
            for j, one in enumerate(row):
                kept = [index for index, number in enumerate(one.numbers) if number in common]
                where = [places[one.scenes[index]] for index in kept]
                parts = one.parts[measure][:, kept]
                for k in range(2):
                    sums[k, i, j] = np.bincount(where, weights=parts[k], minlength=len(places))
                counted.update(one.numbers[index] for index, part in zip(kept, parts[1], strict=True) if part)
        used = sums[1].sum(axis=(0, 1)) > 0  # scenes without a question that counts are none
        self._above, self._below = sums[..., used]
        self.n, self.scenes = len(counted), int(used.sum())

    def of(self, row: int) -> FloatArray:
        """[S] the measure by seed."""
        return _divided(self._above[row].sum(axis=1), self._below[row].sum(axis=1))

    def drawn(self, rounds: int, seed: int) -> FloatArray:
        """[rows, rounds] the mean over the seeds drawn of the measure over the scenes drawn."""
        rows, seeds, scenes = self._above.shape
        if not seeds or not scenes:
            return np.full((rows, 0), NAN)
        often, picked = _draws(rounds, scenes, seeds, seed)
        found = []
        for above, below in zip(self._above, self._below, strict=True):
            by_seed = _divided(often @ above.T, often @ below.T)  # [rounds, S]
            values = np.take_along_axis(by_seed, picked, axis=1)
            there = ~np.isnan(values)
            found.append(_divided(np.where(there, values, 0.0).sum(axis=1), there.sum(axis=1).astype(np.float64)))
        return np.array(found)


@functools.lru_cache(maxsize=16)  # measures and rows mostly have the same scenes and seeds
def _draws(rounds: int, scenes: int, seeds: int, seed: int) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    """How often each scene is drawn, [rounds, K], and which seeds are, [rounds, S]. Not to be written to."""
    generator = np.random.default_rng(seed)
    often = generator.multinomial(scenes, np.full(scenes, 1 / scenes), size=rounds).astype(np.float64)
    return often, generator.integers(seeds, size=(rounds, seeds))


def _common_seeds(rows: list[BySeed]) -> list[int | None]:
    """Those that every row has; a row without seeds has them all."""
    drawn = [set(row) for row in rows if None not in row]
    return sorted(set.intersection(*drawn), key=lambda seed: seed or 0) if drawn else [None]


def _divided(above: FloatArray, below: FloatArray) -> FloatArray:
    return np.divide(above, below, out=np.full(above.shape, NAN), where=below > 0)


def _mean(values: FloatArray) -> float:
    kept = values[~np.isnan(values)]
    return float(kept.mean()) if len(kept) else NAN


def _limits(drawn: FloatArray, scenes: int) -> tuple[float, float]:
    drawn = drawn[~np.isnan(drawn)]
    if scenes < 2 or not len(drawn):
        return NAN, NAN
    low, high = np.quantile(drawn, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return float(low), float(high)
