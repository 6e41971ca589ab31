from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nav_vlm_node.instruction import Action, Step
from nav_vlm_node.score import Truth
from nav_vlm_training.data.balance import DIRECTIONS, HEAVIEST, direction_of, sampling_weights, shares, unbalanced
from tests.nav_vlm_training.data.fuzz import FUZZ

DEGREES = {"ahead": 0.0, "left": 90.0, "right": -90.0, "behind": 180.0}


def truth(name: str) -> Truth:
    if name in DEGREES:
        return Truth("target", "", True, math.radians(DEGREES[name]))
    return Truth("hazard", hazards=(Step(Action.CAUTION),)) if name == "hazard" else Truth("describe")


@pytest.mark.parametrize(
    ("degrees", "name"),
    [(0, "ahead"), (14, "ahead"), (-14, "ahead"), (16, "left"), (-16, "right"), (164, "left"), (166, "behind"),
     (-179, "behind")],
)  # fmt: skip
def test_a_direction_has_a_name(degrees: float, name: str) -> None:
    assert direction_of(Truth("target", "", True, math.radians(degrees))) == name


def test_what_has_no_direction_has_a_name_too() -> None:
    assert direction_of(Truth("target")) == "not visible"
    assert direction_of(Truth("hazard")) == "clear"
    assert direction_of(truth("hazard")) == "hazard"
    assert direction_of(Truth("unknown")) == "unknown"
    assert shares(["a", "b", "a", "a"]) == {"a": 0.75, "b": 0.25}


def test_one_direction_that_outweighs_the_rest_is_said_in_one_line() -> None:
    truths = [truth("ahead")] * 71 + [truth("left")] * 15 + [truth("right")] * 14 + [truth("hazard")] * 300
    line = unbalanced(truths)
    assert line.startswith("unbalanced: 71 % of the directions are straight ahead (71 of 100)")
    assert "\n" not in line
    assert "are left (3 of 4)" in unbalanced([truth("left")] * 3 + [truth("ahead")])
    assert unbalanced([truth("ahead"), truth("left")]) == ""
    assert unbalanced([truth("hazard")]) == unbalanced([]) == ""


names = st.lists(st.sampled_from([*DIRECTIONS, "hazard", "describe"]), min_size=1, max_size=60)


@FUZZ
@given(names)
def test_weights_even_out_the_directions_and_nothing_else(names: list[str]) -> None:
    weights = sampling_weights([truth(name) for name in names])
    assert math.isclose(sum(weights), len(names))
    total = {name: sum(w for n, w in zip(names, weights, strict=True) if n == name) for name in set(names)}
    plain = [w for n, w in zip(names, weights, strict=True) if n not in DEGREES]
    capped = any(names.count(name) * HEAVIEST < len(names) for name in set(names) & set(DEGREES))
    if not capped:
        sums = [total[name] for name in total if name in DEGREES]
        assert all(math.isclose(one, sums[0]) for one in sums)
        assert all(math.isclose(weight, 1.0) for weight in plain)
    assert max(weights) <= HEAVIEST * (min(plain) if plain else max(weights)) + 1e-9


def test_a_rare_direction_is_not_learnt_by_heart() -> None:
    weights = sampling_weights([truth("ahead")] * 999 + [truth("behind")] + [truth("hazard")])
    assert math.isclose(weights[-2] / weights[-1], HEAVIEST)
