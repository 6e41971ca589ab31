"""Kappa and alpha against the worked examples that were published with them."""

from __future__ import annotations

import itertools
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nav_vlm_training.data.agreement import agreement, cohen_kappa, krippendorff_alpha
from tests.nav_vlm_training.data.fuzz import FUZZ


def pairs_of(table: list[list[int]]) -> tuple[list[int], list[int]]:
    cells = [(i, j) for i, row in enumerate(table) for j, count in enumerate(row) for _ in range(count)]
    return [i for i, _ in cells], [j for _, j in cells]


@pytest.mark.parametrize(
    ("table", "kappa"),
    [
        ([[20, 5], [10, 15]], 0.4),  # Wikipedia, "Cohen's kappa", simple example
        ([[45, 15], [25, 15]], 0.1304),  # the same, "same percentages but different numbers"
        ([[25, 35], [5, 35]], 0.2593),
        ([[88, 14, 18], [10, 40, 10], [2, 6, 12]], 0.492),  # Cohen (1960), table 1, n = 200: p_o .70, p_c .41
    ],
)
def test_kappa_is_that_of_published_examples(table: list[list[int]], kappa: float) -> None:
    assert cohen_kappa(*pairs_of(table)) == pytest.approx(kappa, abs=6e-4)


_: int | None = None
MEG, OWEN = "aabbdcccedda", "babbbccceddd"
FOUR = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, _, _, _],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, _, 3],
    [_, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, _],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, _],
]


@pytest.mark.parametrize(
    ("people", "alpha"),
    [
        # Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability": A, binary; B, nominal; C, with gaps
        (["0100000010", "1110010000"], 0.095),
        ([MEG, OWEN], 0.692),
        (FOUR, 0.743),
    ],
)
def test_alpha_is_that_of_published_examples(people: list[list[object]], alpha: float) -> None:
    units = [[value for value in made if value is not None] for made in zip(*people, strict=True)]
    assert krippendorff_alpha(units) == pytest.approx(alpha, abs=6e-4)


judgement = st.lists(st.sampled_from("abc"), min_size=0, max_size=4)


@FUZZ
@given(st.lists(judgement, max_size=12))
def test_alpha_is_one_less_the_disagreement_over_that_of_chance(units: list[list[str]]) -> None:
    """By its definition, pair by pair."""
    used = [made for made in units if len(made) > 1]
    everything = [value for made in used for value in made]
    observed = sum(sum(a != b for a, b in itertools.permutations(made, 2)) / (len(made) - 1) for made in used)
    by_chance = sum(a != b for a, b in itertools.permutations(everything, 2))
    alpha = krippendorff_alpha(units)
    if not by_chance:
        assert math.isnan(alpha)
    else:
        expected = 1 - (observed / len(everything)) / (by_chance / (len(everything) * (len(everything) - 1)))
        assert alpha == pytest.approx(expected, abs=1e-9)
        assert alpha <= 1 + 1e-9


@FUZZ
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1, max_size=30))
def test_kappa_is_symmetric_and_one_only_for_perfect_agreement(made: list[tuple[str, str]]) -> None:
    first, second = [a for a, _ in made], [b for _, b in made]
    kappa = cohen_kappa(first, second)
    assert math.isnan(kappa) == (len(set(first + second)) == 1)
    if not math.isnan(kappa):
        assert kappa == pytest.approx(cohen_kappa(second, first))
        assert (kappa > 1 - 1e-9) == (first == second)


def test_what_is_not_defined_is_said() -> None:
    assert math.isnan(cohen_kappa([], []))
    assert math.isnan(krippendorff_alpha([["a"], ["b"]]))
    same = agreement({i: {"ann": "left", "bob": "left"} for i in range(5)})
    assert "everyone gave the same one judgement" in same.verdict()
    assert same.to_json()["alpha"]["value"] is None
    assert "let a second person judge" in agreement({1: {"ann": "left"}}).verdict()
    json.dumps(same.to_json(), allow_nan=False)


def test_people_who_disagree_on_everything_get_one_clear_line() -> None:
    found = agreement({i: {"ann": "left", "bob": "right", "cy": "ahead"} for i in range(12)})
    assert found.verdict() == "no two people agree on any of 12: agree on the rules first, then judge again"
    assert found.alpha.value < 0
    assert len(found.split) == 12
    assert found.same.value == 0


def test_figures_of_a_project_with_gaps() -> None:
    made = {}
    for i in range(40):
        truth = "left" if i % 2 else "right"
        made[i] = {"ann": truth, "bob": truth if i % 10 else "ahead"} | ({"cy": truth} if i < 10 else {})
    made[99] = {"ann": "left"}
    found = agreement(made)
    assert (found.units, found.people) == (40, ("ann", "bob", "cy"))
    assert {pair: n for pair, (_, n) in found.kappas.items()} == {
        ("ann", "bob"): 40,
        ("ann", "cy"): 10,
        ("bob", "cy"): 10,
    }
    assert found.kappas["ann", "cy"][0] == 1.0
    assert found.alpha.low <= found.alpha.value <= found.alpha.high
    assert "reliable" in found.verdict()
    assert agreement(made).to_json() == found.to_json()
    json.dumps(found.to_json(), allow_nan=False)


@FUZZ
@given(st.dictionaries(st.integers(), st.dictionaries(st.sampled_from("pqr"), st.sampled_from("ab"), max_size=3)))
def test_any_table_has_figures(table: dict[int, dict[str, str]]) -> None:
    found = agreement(table, resamples=20)
    json.dumps(found.to_json(), allow_nan=False)
    assert "\n" not in found.verdict()
