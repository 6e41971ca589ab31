from __future__ import annotations

import math

import numpy as np
import pytest

from nav_vlm_node.score import wilson
from nav_vlm_node.score_shares import clustered


def test_independent_questions_have_wilsons_interval() -> None:
    hits = np.random.default_rng(0).permutation(np.arange(400) < 280).astype(float)
    found = clustered(hits, np.ones(400), range(400))
    assert found.n == 400
    assert [found.value, found.low, found.high] == pytest.approx(
        [0.7, wilson(280, 400).low, wilson(280, 400).high], abs=2e-3
    )


def test_questions_that_say_the_same_count_as_one() -> None:
    """Six of each scene, all right or all wrong: no more is known than of one each."""
    scenes = np.repeat(np.arange(100), 6)
    found = clustered((scenes < 70).astype(float), np.ones(600), scenes.tolist())
    alone = wilson(70, 100)
    assert found.n == 600
    assert [found.value, found.low, found.high] == pytest.approx([0.7, alone.low, alone.high], abs=2e-3)
    assert clustered(np.ones(600), np.ones(600), scenes.tolist()).low == pytest.approx(wilson(100, 100).low)


def test_95_of_100_intervals_hold_the_truth() -> None:
    """Scenes of which some are easy and some hard; six questions of each. Wilson's for 360 holds it in 3 of 4."""
    generator = np.random.default_rng(0)
    scenes = np.repeat(np.arange(60), 6)
    held, plain = [], []
    for _ in range(400):
        ease = generator.beta(0.7, 0.3, 60)
        hits = (generator.random(360) < ease[scenes]).astype(float)
        ours, theirs = clustered(hits, np.ones(360), scenes.tolist()), wilson(float(hits.sum()), 360)
        held.append(ours.low <= 0.7 <= ours.high)
        plain.append(theirs.low <= 0.7 <= theirs.high)
    assert 0.92 <= np.mean(held) <= 0.98
    assert np.mean(plain) < 0.8


def test_what_does_not_count_and_nothing_at_all() -> None:
    assert clustered([1, 0, 0], [1, 1, 0], "abc").n == 2
    assert math.isnan(clustered([0, 0], [0, 0], "ab").value)
    assert math.isnan(clustered([], [], "").value)
    one = clustered([1, 1, 0], [1, 1, 1], "aaa")
    assert (one.low, one.high) == pytest.approx((wilson(2 / 3, 1).low, wilson(2 / 3, 1).high))
