from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nav_vlm_training.data.correlation import Numbers, kendall, point_biserial, ranks, spearman, with_interval
from tests.nav_vlm_training.data.fuzz import FUZZ


def numbers(*values: float) -> Numbers:
    return np.array(values, np.float64)


def test_the_figures_of_published_examples() -> None:
    # Wikipedia, "Spearman's rank correlation coefficient": IQ and hours of television
    iq = numbers(86, 97, 99, 100, 101, 103, 106, 110, 112, 113)
    hours = numbers(2, 20, 28, 27, 50, 29, 7, 17, 6, 12)
    assert spearman(iq, hours) == pytest.approx(-29 / 165)
    # the examples of scipy.stats.kendalltau, spearmanr and pointbiserialr
    assert kendall(numbers(12, 2, 1, 12, 2), numbers(1, 4, 7, 1, 0)) == pytest.approx(-0.47140452079103173)
    assert spearman(numbers(1, 2, 3, 4, 5), numbers(5, 6, 7, 8, 7)) == pytest.approx(0.8207826816681233)
    assert point_biserial(numbers(*range(7)), numbers(0, 0, 0, 1, 1, 1, 1)) == pytest.approx(0.8660254037844386)


few = st.lists(st.tuples(st.integers(-3, 3), st.integers(-2, 2)), min_size=2, max_size=25)


@FUZZ
@given(few)
def test_kendall_is_what_its_definition_counts(rows: list[tuple[int, int]]) -> None:
    x, y = numbers(*(a for a, _ in rows)), numbers(*(b for _, b in rows))
    signs = [(np.sign(a[0] - b[0]), np.sign(a[1] - b[1])) for a, b in itertools.combinations(rows, 2)]
    scale = math.sqrt(sum(a * a for a, _ in signs) * sum(b * b for _, b in signs))
    if scale == 0:
        assert math.isnan(kendall(x, y))
    else:
        assert kendall(x, y) == pytest.approx(sum(a * b for a, b in signs) / scale)


@FUZZ
@given(few)
def test_only_the_order_counts_and_a_turn_changes_the_sign(rows: list[tuple[int, int]]) -> None:
    x, y = numbers(*(a for a, _ in rows)), numbers(*(b for _, b in rows))
    for measure in (spearman, kendall):
        value = measure(x, y)
        if math.isnan(value):
            assert math.isnan(measure(y, x))
            continue
        assert measure(np.exp(x), y) == pytest.approx(value)
        assert measure(-x, y) == pytest.approx(-value)
        assert measure(y, x) == pytest.approx(value)
        assert abs(value) <= 1 + 1e-12


def test_equal_values_share_a_rank() -> None:
    assert ranks(numbers(5, 1, 5, 7)).tolist() == [2.5, 1, 2.5, 4]


def test_what_does_not_vary_has_no_correlation() -> None:
    for measure in (spearman, kendall, point_biserial):
        assert math.isnan(measure(numbers(1, 1, 1), numbers(1, 2, 3)))
        assert math.isnan(measure(numbers(1), numbers(1)))
        assert math.isnan(measure(numbers(), numbers()))


def test_an_interval_holds_its_value_and_leaves_out_what_is_missing() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=60)
    y = x + rng.normal(size=60)
    found = with_interval(spearman, [*x, math.nan, 1.0], [*y, 1.0, math.nan], [*range(60), 60, 61], seed=1)
    assert found.n == 60
    assert found.low < found.value < found.high
    assert found == with_interval(spearman, [*x, math.nan, 1.0], [*y, 1.0, math.nan], [*range(60), 60, 61], seed=1)


def test_answers_about_one_picture_are_not_counted_as_many() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=20), rng.normal(size=20)
    alone = with_interval(spearman, list(x), list(y), list(range(20)))
    copied = with_interval(spearman, list(np.repeat(x, 10)), list(np.repeat(y, 10)), [i // 10 for i in range(200)])
    assert copied.high - copied.low > 0.8 * (alone.high - alone.low)


def test_few_pictures_have_no_interval() -> None:
    found = with_interval(spearman, [1.0, 2.0, 3.0], [1.0, 2.0, 4.0], [1, 2, 3])
    assert found.value == pytest.approx(1.0)
    assert found.n == 3
    assert math.isnan(found.low)


@FUZZ
@given(st.lists(st.tuples(st.floats(), st.floats(), st.integers(0, 12)), max_size=20))
def test_any_columns_have_a_figure_or_none(rows: list[tuple[float, float, int]]) -> None:
    x, y, cluster = ([row[i] for row in rows] for i in range(3))
    for measure in (spearman, kendall, point_biserial):
        found = with_interval(measure, x, y, cluster, resamples=5)
        assert math.isnan(found.value) or abs(found.value) <= 1
