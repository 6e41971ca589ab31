from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nav_vlm_node.errors import UserError
from nav_vlm_training.fit.config import SETTINGS, FitConfig, from_json, rate_at, resolve, span_at, timeline, to_json
from nav_vlm_training.variants import VARIANTS


def test_the_papers_settings() -> None:
    paper = SETTINGS["paper"]
    assert (paper.rate, paper.batch, paper.optimizer, paper.epochs) == (5e-5, 32, "adam", 30)
    assert paper.patience > 0
    plan = paper.plan
    assert (plan.name, plan.rank, plan.alpha, plan.dropout) == ("lm_only", 16, 32, 0.05)


def test_its_repositorys_settings() -> None:
    other = SETTINGS["paper_repository"]
    assert (other.rate, other.weight_decay, other.schedule, other.clip) == (5e-4, 0.01, "cosine", 1.0)
    assert (other.batch, other.epochs, other.seed, other.beams, other.no_repeat_ngram) == (8, 10, 47, 5, 2)


def test_what_is_given_takes_the_place_of_what_is_named() -> None:
    config = resolve("paper", {"rate": 1e-4, "variant": "joint", "rank": 4})
    assert (config.rate, config.batch, config.plan.rank, config.plan.alpha) == (1e-4, 32, 4, 32)
    assert resolve("usual", {}) == FitConfig()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"rate": 0.0}, "--rate 0.0: give a number above 0"),
        ({"rate": 2.0}, "--rate 2.0: give a number below 1"),
        ({"rate": float("nan")}, "--rate nan: give a number"),
        ({"batch": 0}, "--batch 0: give a number from 1 up"),
        ({"seed": 2**64}, f"--seed {2**64}: give a number up to "),
        ({"evaluate_every": 1e308}, "--evaluate-every 1e+308: give a number up to 1e+09"),
        ({"warmup": -1}, "--warmup -1: give a number from 0 up"),
        ({"optimizer": "sgd"}, "--optimizer sgd: give one of adam, adamw"),
        ({"precision": "fp16"}, "--precision fp16: give one of fp32, bf16"),  # it overflows in T5
        ({"variant": "all"}, "no variant 'all'"),
    ],
)
def test_what_cannot_be_is_one_line(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as caught:
        resolve("usual", given)
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


def test_other_settings_are_refused() -> None:
    with pytest.raises(UserError, match="no settings 'best': give one of usual, paper, paper_repository"):
        resolve("best", {})


def test_settings_survive_json() -> None:
    for config in SETTINGS.values():
        assert from_json({**to_json(config), "gone": 1}) == config


@settings(deadline=None)
@given(st.sampled_from(sorted(VARIANTS)), st.integers(1, 500))
def test_the_stages_are_the_whole_run(name: str, updates: int) -> None:
    spans = timeline(VARIANTS[name], updates)
    steps = [step for span in spans for step in range(span.start, span.end)]
    assert steps == (list(range(updates)) if VARIANTS[name].stages else [])
    assert [span.last for span in spans] == [False] * (len(spans) - 1) + [True] * bool(spans)
    if spans:
        assert span_at(spans, updates) == spans[-1]


@settings(deadline=None)
@given(st.sampled_from(("constant", "cosine")), st.integers(0, 60), st.integers(1, 300))
def test_the_rate_rises_to_its_peak_and_never_above(schedule: str, warmup: int, updates: int) -> None:
    config = FitConfig(schedule=schedule, warmup=warmup, rate=0.01)
    span = timeline(VARIANTS["lm_only"], updates)[0]
    rates = [rate_at(config, span, step) for step in range(updates)]
    assert all(0 < rate <= 0.01 * (1 + 1e-12) for rate in rates)
    top = min(warmup, -(-updates // 5))
    assert rates[:top] == sorted(rates[:top])
    rest = rates[top:]
    assert rest == sorted(rest, reverse=True)
    assert not rest or rest[0] == pytest.approx(0.01)  # it gets warm, however short the run
    assert schedule == "cosine" or set(rest) <= {0.01}


def test_each_stage_warms_up_and_a_variant_may_be_slower() -> None:
    config = FitConfig(variant="two_stage", warmup=4, rate=0.01)
    first, second = timeline(config.plan, 40)
    assert rate_at(config, second, 20) == rate_at(config, first, 0) == pytest.approx(0.0025)
    low = FitConfig(variant="joint_low_lr", warmup=0, rate=0.01)
    assert rate_at(low, timeline(low.plan, 10)[0], 0) == pytest.approx(0.001)
