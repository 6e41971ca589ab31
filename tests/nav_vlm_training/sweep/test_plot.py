from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nav_vlm_training.sweep.plot import GAP, columns, draw, labels_of, places_of, spread

PNG = b"\x89PNG\r\n\x1a\n"
M = "direction_accuracy"


def shown(name: str, count: int, value: float | None = 0.5, data: str = "d") -> dict[str, Any]:
    limits = {"low": None, "high": None} if value is None else {"low": value - 0.1, "high": value + 0.1}
    return {"name": name, "data": data, "trained_parameters": count, M: {"value": value, **limits}}


def test_labels_of_the_plot() -> None:
    rows = [shown("a/x", 9_437_184), shown("b/x", 0), shown("b/y", 1500, data="e")]
    assert labels_of(rows) == ["a: x, 9.44 M", "b: x, nothing trained", "y, 1.5 k (e)"]
    assert labels_of([]) == []


@pytest.mark.parametrize("rows", [[], [shown("a/x", 0)], [shown("a/x", 5), shown("a/y", 5)], [shown("a/x", 5, None)]])
def test_plots_of_little(rows: list[dict[str, Any]]) -> None:
    assert draw(rows, "png").startswith(PNG)


PLACES = st.lists(st.floats(0, 9), max_size=12)


@settings(deadline=None)
@given(PLACES)
def test_points_stand_apart_and_in_their_order(places: list[float]) -> None:
    found = spread(places, GAP)
    order = np.argsort(places, kind="stable")
    assert (np.diff(found[order]) >= GAP - 1e-9).all()
    assert np.sum(found) == pytest.approx(np.sum(places))


@settings(max_examples=50, deadline=None)
@given(PLACES)
def test_points_that_stand_apart_stay(places: list[float]) -> None:
    apart = spread(places, GAP)
    np.testing.assert_allclose(spread(list(apart), GAP), apart, atol=1e-9)


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 0.5)).map(lambda span: (span[0], sum(span))), max_size=12))
def test_nothing_is_in_the_way_within_a_column(spans: list[tuple[float, float]]) -> None:
    found = columns(spans)
    for index, (low, high) in enumerate(spans):
        before = [(spans[other], found[other]) for other in range(index)]
        free = [
            number for number in range(index + 1) if all(high < a or b < low for (a, b), at in before if at == number)
        ]
        assert found[index] == free[0]


def test_points_of_one_size_share_a_place_where_none_hides_another() -> None:
    low, high, between = (shown(f"a/{value}", 1000, value) for value in (0.2, 0.8, 0.25))
    one, other, third = places_of([low, high, between])
    assert one == other != third
    assert third - one == pytest.approx(1.2 * 0.6 * GAP)
    assert (one + third) / 2 == pytest.approx(3)  # log10 of 1000 lies between them


def test_what_trains_nothing_stands_left() -> None:
    places = places_of([shown("a/x", 0, 0.2), shown("a/y", 10), shown("a/z", 10_000), shown("a/w", 0, 0.8)])
    assert places[0] == places[3] < places[1] < places[2]
    assert places_of([]) == []
