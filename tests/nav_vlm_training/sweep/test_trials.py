from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nav_vlm_node.errors import UserError
from nav_vlm_training.fit.config import FitConfig
from nav_vlm_training.sweep.reading import Asked
from nav_vlm_training.sweep.trials import Trial, label_of, trial_from_json
from tests.nav_vlm_training.sweeps import layout

TRIAL = Trial(
    data=Path("/d"), data_sha256="d" * 64, model=Path("/m"), model_sha256="m" * 64, config=FitConfig(), asked=Asked()
)


def groups(*found: dict[str, Any]) -> dict[str, Any]:
    return {"compare_with": None, "groups": list(found)}


def test_the_same_settings_in_two_groups_are_one_trial(root: Path) -> None:
    found = layout(root)
    zero_shot, lm_only, again = found.rows
    assert [row.name for row in found.rows] == ["variants/zero_shot", "variants/lm_only", "again/rank 16"]
    assert again.id == lm_only.id != zero_shot.id
    assert again.trials == lm_only.trials[:1]
    assert len(found.trials) == 3


def test_the_seed_is_the_only_difference_within_a_row(root: Path) -> None:
    first, second = layout(root).rows[1].trials
    assert replace(second, config=replace(second.config, seed=0)) == first
    assert (first.seed, second.seed, first.row) == (0, 1, second.row)
    assert first.name != second.name


def test_what_is_not_drawn_is_one_trial(root: Path) -> None:
    grid: dict[str, list[Any]] = {"variant": ["zero_shot", "few_shot", "full"], "rate": [0.1, 0.2]}
    rows = {row.label: row for row in layout(root, **groups({"name": "g", "grid": grid})).rows}
    zero, few, full = (rows[f"{name}, rate 0.1"] for name in grid["variant"])
    assert ([trial.seed for trial in zero.trials], zero.trials[0].shots) == ([None], 0)
    assert ([trial.seed for trial in few.trials], few.trials[0].shots) == ([0, 1], 4)
    assert ([trial.seed for trial in full.trials], full.trials[0].shots) == ([0, 1], 0)
    # A rate changes nothing where nothing learns.
    assert (rows["zero_shot, rate 0.2"].id, rows["few_shot, rate 0.2"].id) == (zero.id, few.id)
    assert rows["full, rate 0.2"].id != full.id
    assert zero.trials[0].config == FitConfig(variant="zero_shot")


def test_a_variant_s_own_rank_is_that_rank(root: Path) -> None:
    given_, own = layout(root, **groups({"name": "g", "seeds": [0], "grid": {"rank": [16, 0]}})).rows
    assert given_.id == own.id
    assert (own.trials[0].config.rank, own.trials[0].config.alpha, own.trials[0].config.dropout) == (16, 32, 0.05)


def test_what_a_trial_is_known_by() -> None:
    """Names of folders stay what they are: long sweeps go on in them."""
    config = FitConfig(samples=1000, epochs=6, rate=2e-3, rank=16, alpha=32, dropout=0.05, seed=2)
    trial = replace(TRIAL, config=config)
    assert trial.name == "lm_only-n1000-e6-lr0.002-r16-s2-265c725d"
    rich = replace(TRIAL, config=FitConfig(variant="joint", rate=5e-5, mirror=True, light=2, rephrase=1))
    assert rich.name.startswith("joint-n-all-e10-lr5e-05-r16-mirror-light2-rephrase1-s0-")
    assert replace(TRIAL, config=FitConfig(variant="zero_shot")).name.startswith("zero_shot-")
    assert replace(TRIAL, config=FitConfig(variant="few_shot", seed=7)).name.startswith("few_shot-s7-")
    assert replace(TRIAL, config=FitConfig(variant="full")).name.startswith("full-n-all-e10-lr0.0003-s0-")


@pytest.mark.parametrize(
    "changed",
    [
        {"data_sha256": "e" * 64}, {"model_sha256": "n" * 64}, {"config": FitConfig(rate=0.1)},
        {"config": FitConfig(balanced=True)}, {"asked": Asked(splits=("val",))}, {"asked": Asked(text=True)},
        {"asked": Asked(limit=3)}, {"asked": Asked(encoder="other")},
    ],
)  # fmt: skip
def test_whatever_figures_depend_on_makes_another_trial(changed: dict[str, Any]) -> None:
    other = replace(TRIAL, **changed)
    assert (other.name, other.row) != (TRIAL.name, TRIAL.row)
    assert other.row != TRIAL.row


@pytest.mark.parametrize("changed", [{"data": Path("/e")}, {"model": Path("/n")}, {"asked": Asked(batch=3)}])
def test_where_things_lie_and_how_many_go_at_once_does_not(changed: dict[str, Any]) -> None:
    assert replace(TRIAL, **changed).name == TRIAL.name
    encoder = replace(TRIAL, asked=Asked(encoder="/here/encoder"))
    assert encoder.name == replace(TRIAL, asked=Asked(encoder="/there/encoder")).name


@settings(deadline=None)
@given(
    config=st.builds(
        FitConfig, variant=st.sampled_from(["lm_only", "zero_shot", "full"]), seed=st.integers(0, 99),
        rate=st.floats(1e-9, 0.9), dropout=st.none() | st.floats(0, 0.9), mirror=st.booleans(),
    ),
    asked=st.builds(Asked, splits=st.lists(st.text()).map(tuple), text=st.booleans(), limit=st.integers(0, 9)),
)  # fmt: skip
def test_json_round_trip(config: FitConfig, asked: Asked) -> None:
    trial = replace(TRIAL, config=config, asked=asked)
    back = trial_from_json(json.loads(json.dumps(trial.to_json())))
    assert back == trial
    assert (back.name, back.identity) == (trial.name, trial.identity)


@pytest.mark.parametrize(
    ("point", "label"),
    [
        ({"variant": "joint"}, "joint"),
        ({"rank": 4, "rate": 1e-4}, "rank 4, rate 0.0001"),
        ({"mirror": True, "balanced": False}, "mirror, no balanced"),
        ({"dropout": None, "evaluate_every": 2.0}, "usual dropout, evaluate every 2"),
        ({"samples": 1234567}, "samples 1234567"),
        ({"samples": 1000000}, "samples 1e+06"),
    ],
)
def test_labels(point: dict[str, Any], label: str) -> None:
    assert label_of(point) == label


@settings(deadline=None)
@given(st.floats(1e-9, 1e9), st.floats(1e-9, 1e9))
def test_labels_differ_where_values_do(one: float, other: float) -> None:
    assert (label_of({"rate": one}) == label_of({"rate": other})) == (one == other)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"compare_with": "variants/joint"}, "compare_with: no row 'variants/joint': there are variants/zero_shot, "),
        ({"data": "nowhere"}, "group 'variants': no data set at "),
        ({"model": "nowhere"}, "group 'variants': "),
        ({"settings": "best"}, "group 'variants': no settings 'best': give one of usual, "),
        ({"fit": {"rate": 2.0}}, "group 'variants': --rate 2.0: give a number below 1"),
        ({"evaluate": {"split": "tset"}}, "group 'variants': no split 'tset' in the data: there are train, val, test"),
        ({"evaluate": {"baselines": "best"}}, "group 'variants': evaluate.baselines: no baseline 'best': give some of"),
        (groups({"name": "g", "grid": {"variant": ["best"]}}), "group 'g': no variant 'best': give one of"),
        (groups({"name": "g", "grid": {"optimizer": ["sgd"]}}), "group 'g': --optimizer sgd: give one of"),
    ],
)
def test_mistakes_name_the_group(changed: dict[str, Any], said: str, root: Path) -> None:
    with pytest.raises(UserError) as caught:
        layout(root, "wrong.yaml", **changed)
    assert str(caught.value).removeprefix(f"{root / 'wrong.yaml'}: ").startswith(said)
    assert "\n" not in str(caught.value)
