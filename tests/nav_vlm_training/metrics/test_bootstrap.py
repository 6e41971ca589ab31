"""Intervals against textbook ones, and what must hold for any numbers."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nav_vlm_node.errors import UserError
from nav_vlm_training.metrics import bootstrap as module
from nav_vlm_training.metrics.bootstrap import bootstrap, paired_difference

NAN = math.nan


def test_it_agrees_with_the_normal_interval() -> None:
    values = np.random.default_rng(1).normal(2.0, 3.0, 900)
    found = bootstrap(values, rounds=4000)
    half = 1.96 * values.std() / math.sqrt(900)
    assert found.value == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - half, abs=0.03)
    assert found.high == pytest.approx(values.mean() + half, abs=0.03)
    narrower = bootstrap(values, rounds=4000, level=0.5)
    assert found.low < narrower.low < narrower.high < found.high


def test_it_holds_the_truth_as_often_as_it_says() -> None:
    generator = np.random.default_rng(2)
    scenes = [f"scene {index // 8}" for index in range(400)]
    held = {"clusters": 0, "questions": 0}
    for seed in range(60):
        values = np.repeat(generator.normal(0.0, 1.0, 50), 8) + generator.normal(0.0, 0.3, 400)
        for name, clusters in (("clusters", scenes), ("questions", None)):
            found = bootstrap(values, clusters, rounds=300, seed=seed)
            held[name] += found.low <= 0.0 <= found.high
    assert held["clusters"] >= 51
    assert held["questions"] <= 40, "eight questions of one scene taken for eight scenes"


def test_pairs_see_what_two_intervals_do_not() -> None:
    generator = np.random.default_rng(3)
    hard = generator.normal(0.0, 1.0, 200)
    first, second = hard + 0.1 + generator.normal(0.0, 0.05, 200), hard + generator.normal(0.0, 0.05, 200)
    found = paired_difference(first, second)
    assert 0.05 < found.low < found.value < found.high < 0.15
    assert found.p < 0.01
    assert bootstrap(first).low < bootstrap(second).high
    alike = paired_difference(second, second[::-1], seed=4)
    assert alike.value == pytest.approx(0.0)
    assert alike.p > 0.5


def test_the_memory_is_bounded_without_changing_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(5).normal(size=37)
    before = bootstrap(values), paired_difference(values, values**2)
    monkeypatch.setattr(module, "_DRAWN_AT_ONCE", 100)
    assert (bootstrap(values), paired_difference(values, values**2)) == before


numbers = st.lists(st.one_of(st.just(NAN), st.integers(-5, 5).map(float)), min_size=1, max_size=25)


@settings(deadline=None, max_examples=60)
@given(numbers, st.integers(0, 3))
def test_any_values(values: list[float], seed: int) -> None:
    found = bootstrap(values, rounds=100, seed=seed)
    known = [value for value in values if not math.isnan(value)]
    assert found.n == found.clusters == len(known)
    assert bootstrap(values, rounds=100, seed=seed).to_json() == found.to_json(), "the same every time"
    json.dumps(found.to_json(), allow_nan=False)
    if not known:
        assert math.isnan(found.value)
        return
    assert found.value == pytest.approx(np.mean(known))
    if len(known) > 1:
        assert min(known) <= found.low <= found.high <= max(known)
    else:
        assert math.isnan(found.low)
        assert math.isnan(found.high)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.floats(-3, 3), st.floats(-3, 3), st.sampled_from("abcd")), min_size=1, max_size=25))
def test_any_pairs(rows: list[tuple[float, float, str]]) -> None:
    first, second = [row[0] for row in rows], [row[1] for row in rows]
    scenes = [row[2] for row in rows]
    found = paired_difference(first, second, scenes, rounds=100)
    assert found.n == len(rows)
    assert found.clusters == len(set(scenes))
    assert found.value == pytest.approx(np.mean(first) - np.mean(second))
    json.dumps(found.to_json(), allow_nan=False)
    back = paired_difference(second, first, scenes, rounds=100)
    assert back.value == pytest.approx(-found.value)
    if found.clusters > 1:
        np.testing.assert_allclose([back.low, back.high], [-found.high, -found.low], atol=1e-9)
        assert back.p == found.p
        assert 2 / 101 <= found.p <= 1
    else:
        assert math.isnan(found.p)
    same = paired_difference(first, first, scenes, rounds=100)
    assert same.value == 0.0
    assert found.clusters < 2 or (same.low, same.high, same.p) == (0.0, 0.0, 1.0)


def test_questions_that_count_for_one_system_only() -> None:
    first, second = [1.0, NAN, 0.0, NAN], [NAN, 1.0, 1.0, NAN]
    found = paired_difference(first, second, rounds=200)
    assert (found.value, found.n, found.clusters) == (-0.5, 3, 3)
    assert -1.0 <= found.low <= found.high <= 0.0
    nothing = paired_difference([NAN, 1.0], [NAN, NAN])
    assert math.isnan(nothing.value)
    assert nothing.to_json()["p"] is None
    assert bootstrap([]).to_json() == {"value": None, "low": None, "high": None, "n": 0, "clusters": 0}


def test_clusters_without_a_value_are_none() -> None:
    assert bootstrap([1.0, NAN, 0.0], ["a", "b", "c"]).clusters == 2


@pytest.mark.parametrize(
    ("arguments", "options", "said"),
    [
        (([1.0, 2.0], ["a"]), {}, "2 values, 1 clusters"),
        (([1.0],), {"rounds": 0}, "rounds must be at least 1"),
        (([1.0],), {"level": 1.0}, "level between 0 and 1"),
    ],
)
def test_numbers_that_do_not_fit(arguments: tuple[object, ...], options: dict[str, float], said: str) -> None:
    with pytest.raises(UserError, match=said):
        bootstrap(*arguments, **options)  # type: ignore[arg-type]


def test_unequal_systems() -> None:
    with pytest.raises(UserError, match="2 values against 1"):
        paired_difference([1.0, 2.0], [1.0])
