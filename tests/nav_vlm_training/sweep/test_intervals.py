from __future__ import annotations

import json
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nav_vlm_training.sweep.intervals import BySeed, difference, interval
from nav_vlm_training.sweep.outcomes import Outcomes

M = "direction_accuracy"


def row(
    hits: Sequence[float] | npt.NDArray[np.float64],
    scenes: Sequence[str] | None = None,
    counts: Sequence[float] | None = None,
) -> Outcomes:
    """hits: of questions 0, 1, ...; each counts, and is of a scene of its own, unless said otherwise."""
    below = np.ones(len(hits)) if counts is None else np.array(counts, dtype=float)
    parts = np.array([np.array(hits, dtype=float) * (below > 0), below]).reshape(2, len(hits))
    of = tuple(scenes) if scenes is not None else tuple(f"{index:03}" for index in range(len(hits)))
    return Outcomes(tuple(range(len(hits))), of, {M: parts})


def test_one_seed_two_scenes_by_hand() -> None:
    """Two scenes, one right: drawn twice they give 0, 0, 1/2, 1/2, 1, 1 in quarters; the limits are 0 and 1."""
    found = interval({0: row([1, 0])}, M, rounds=4000)
    assert (found.value, found.low, found.high) == (0.5, 0.0, 1.0)
    assert (found.n, found.scenes, found.seeds) == (2, 2, 1)


def test_what_never_differs_has_no_width() -> None:
    found = interval({0: row([1, 0, 1, 0], "aabb"), 1: row([0, 1, 0, 1], "aabb")}, M)
    assert (found.value, found.low, found.high) == (0.5, 0.5, 0.5)
    assert (found.n, found.scenes, found.seeds) == (4, 2, 2)


def test_seeds_alone_by_hand() -> None:
    """Every scene is alike, so that only seeds are drawn: three of (0, 0, 1) are all 1 in 1/27 of the draws."""
    rows: BySeed = {seed: row([value] * 6) for seed, value in enumerate((0, 0, 1))}
    found = interval(rows, M, rounds=20000)
    assert [found.value, found.low, found.high] == pytest.approx([1 / 3, 0.0, 1.0])
    few = interval({0: row([0] * 6), 1: row([1] * 6)}, M)
    assert (few.value, few.low, few.high) == (0.5, 0.0, 1.0)


def test_scenes_alone_are_the_binomial() -> None:
    """One seed, a question per scene: the percentiles of a binomial of 100 at 0.3, which are 0.21 and 0.39."""
    found = interval({0: row([1] * 30 + [0] * 70)}, M, rounds=20000)
    assert found.value == 0.3
    assert [found.low, found.high] == pytest.approx([0.21, 0.39], abs=0.011)


def test_questions_of_a_scene_are_no_independent_evidence() -> None:
    hits = [1, 1, 1, 1, 0, 0, 0, 0] * 4
    alone = interval({0: row(hits)}, M)
    together = interval({0: row(hits, [f"{index // 4}" for index in range(len(hits))])}, M)
    assert together.value == alone.value
    assert together.high - together.low > 1.5 * (alone.high - alone.low)
    assert (together.scenes, alone.scenes) == (8, 32)


def test_a_share_is_a_sum_by_a_sum() -> None:
    found = interval({0: row([1, 3], counts=[2, 6]), 1: row([0, 0], counts=[2, 6])}, M)
    assert found.value == pytest.approx((4 / 8 + 0) / 2)
    assert found.n == 2


def test_what_does_not_count_is_nothing() -> None:
    found = interval({0: row([1, 0, 1], counts=[1, 0, 1])}, M)
    assert (found.value, found.n, found.scenes) == (1.0, 2, 2)
    none = interval({0: row([1, 1], counts=[0, 0])}, M)
    assert math.isnan(none.value)
    assert math.isnan(none.low)
    assert (none.n, none.scenes) == (0, 0)
    assert json.loads(json.dumps(none.to_json(), allow_nan=False))["value"] is None
    empty = interval({0: row([])}, M)
    assert math.isnan(empty.value)


def test_one_scene_says_nothing_of_others() -> None:
    found = interval({0: row([1, 0], "aa"), 1: row([1, 1], "aa")}, M)
    assert found.value == 0.75
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert math.isnan(difference({0: row([1, 0], "aa")}, {0: row([1, 1], "aa")}, M).p)


def test_the_same_figures_the_same_interval() -> None:
    shares = np.random.default_rng(0).random((2, 40))  # so that no two draws are alike
    rows: BySeed = {seed: row(of) for seed, of in enumerate(shares)}
    assert interval(rows, M) == interval(rows, M)
    assert interval(rows, M, seed=1) != interval(rows, M)


def test_a_row_and_itself() -> None:
    rows: BySeed = {0: row([1, 0, 1, 1, 0]), 1: row([0, 0, 1, 1, 1])}
    found = difference(rows, dict(rows), M)
    assert (found.value, found.low, found.high, found.p) == (0.0, 0.0, 0.0, 1.0)
    assert (found.n, found.scenes, found.seeds) == (5, 5, 2)


def test_a_difference_by_hand() -> None:
    """On all of 20 scenes the first is right and the second wrong: no draw has less, p is 2 of 2001."""
    found = difference({0: row([1] * 20)}, {0: row([0] * 20)}, M)
    assert (found.value, found.low, found.high, found.p) == (1.0, 1.0, 1.0, 2 / 2001)


def test_pairs_are_drawn_together() -> None:
    """Scenes are hard or easy for both: the difference is surer than either figure."""
    hard = [0] * 20 + [1] * 20
    better = [0] * 18 + [1] * 22
    found = difference({0: row(better)}, {0: row(hard)}, M)
    alone = interval({0: row(hard)}, M)
    assert found.value == pytest.approx(0.05)
    assert found.high - found.low < 0.5 * (alone.high - alone.low)


def test_only_common_questions_and_seeds_are_compared() -> None:
    one = Outcomes((0, 1, 2), ("a", "b", "c"), {M: np.array([[1.0, 0, 1], [1, 1, 1]])})
    other = Outcomes((1, 2, 3), ("b", "c", "d"), {M: np.array([[0.0, 0, 1], [1, 1, 1]])})
    found = difference({0: one, 1: one}, {1: other, 2: other}, M)
    assert (found.value, found.n, found.scenes, found.seeds) == (0.5, 2, 2, 1)
    for nothing in (
        difference({0: one}, {1: other}, M),
        difference({0: one}, {0: Outcomes((7,), ("z",), {M: np.ones((2, 1))})}, M),
    ):
        assert math.isnan(nothing.value)
        assert math.isnan(nothing.p)
        assert nothing.n == 0


def test_what_has_no_seed_stands_for_every_seed() -> None:
    zero = row([0, 1, 0, 1])
    ours: BySeed = {0: row([1, 1, 0, 1]), 1: row([1, 1, 1, 1])}
    found = difference(ours, {None: zero}, M)
    assert found.value == pytest.approx(0.375)
    assert found.seeds == 2
    assert difference({None: zero}, {None: zero}, M).seeds == 1


HITS = st.lists(st.sampled_from([0.0, 1.0]), min_size=8, max_size=8)
ROWS = st.lists(HITS, min_size=1, max_size=3).map(lambda seeds: {seed: row(hits) for seed, hits in enumerate(seeds)})


@settings(max_examples=40, deadline=None)
@given(ROWS)
def test_the_value_lies_between_its_limits(rows: BySeed) -> None:
    found = interval(rows, M, rounds=400)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.value == pytest.approx(np.mean([one.share(M) for one in rows.values()]))


@settings(max_examples=40, deadline=None)
@given(ROWS, ROWS)
def test_swapping_rows_flips_the_sign(first: BySeed, second: BySeed) -> None:
    there = difference(first, second, M, rounds=400)
    back = difference(second, first, M, rounds=400)
    assert there.value == -back.value
    assert [there.low, there.high] == pytest.approx([-back.high, -back.low])
    assert there.p == back.p
    assert 0 < there.p <= 1
    assert there.low - 1e-9 <= there.value <= there.high + 1e-9


@settings(max_examples=20, deadline=None)
@given(HITS, st.permutations(range(8)))
def test_the_order_of_questions_does_not_matter(hits: list[float], order: list[int]) -> None:
    one = row(hits)
    other = Outcomes(
        tuple(one.numbers[index] for index in order), tuple(one.scenes[index] for index in order),
        {M: one.parts[M][:, order]},
    )  # fmt: skip
    assert interval({0: one}, M, rounds=200) == interval({0: other}, M, rounds=200)
    assert difference({0: one}, {0: other}, M, rounds=200).value == 0
