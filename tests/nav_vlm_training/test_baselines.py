from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nav_vlm_node.instruction import Action, Step
from nav_vlm_node.language import render_canonical
from nav_vlm_node.score import Truth
from nav_vlm_node.view import Camera, Rig
from nav_vlm_training.data.samples import Sample, read_dataset
from nav_vlm_training.evaluation.baselines import (
    FIXED,
    Learn,
    best_answer,
    cross_fitted,
    learn_constant,
    learn_question_only,
    shuffled,
)
from tests.nav_vlm_training.datasets import make_dataset

CAMERA, RIG = Camera.from_fov(48, 36, 1.4), Rig()


def sample(number: int, scene: int, question: str, degrees: float | None, view: int = 0, split: str = "test") -> Sample:
    """A question about a door at so many degrees to the left; None: not in view."""
    if degrees is None:
        steps: tuple[Step, ...] = (Step(Action.NOT_VISIBLE, landmark="door"), Step(Action.SCAN))
        truth = Truth("target", "door", steps=steps)
    else:
        bearing = math.radians(degrees)
        steps = (*((Step(Action.TURN, bearing),) if degrees else ()), Step(Action.MOVE, 0.0, 3.0, "door"))
        truth = Truth("target", "door", True, bearing, 3.0, (), steps)
    text = render_canonical(truth.steps)
    image = f"{scene}-{view}"
    return Sample(number, image, str(scene), split, "hall", "train", "train", question, text, truth, CAMERA, RIG)


@given(st.lists(st.integers(1, 5), min_size=2, max_size=12), st.integers(0, 1000))
def test_shuffled_pictures_are_a_permutation_across_scenes(views: list[int], seed: int) -> None:
    samples = [
        sample(0, scene, f"{q}?", 10.0, view) for scene, n in enumerate(views) for view in range(n) for q in range(2)
    ]
    found = shuffled(samples, seed)
    if 2 * max(views) > sum(views):
        assert found is None
        return
    assert found is not None
    scene_of = {s.image: s.scene for s in samples}
    assert set(found) == set(scene_of)
    assert Counter(s.image for s in found.values()) == Counter(list(scene_of))
    assert all(other.scene != scene_of[image] for image, other in found.items())
    assert found == shuffled(samples, seed)


def test_shuffling_depends_on_the_seed() -> None:
    samples = [sample(0, scene, "?", 10.0) for scene in range(20)]
    assert shuffled(samples, 1) != shuffled(samples, 2)
    assert shuffled(samples[:1]) is None


def test_the_best_constant_is_right_most_often() -> None:
    # "No door in view." is the most usual answer, and never right about a direction.
    spread = [None] * 9 + [0.0, 5.0, 10.0, -10.0, -5.0, 45.0, 45.0, 45.0]
    reference = [sample(i, i, "Where is the door?", degrees) for i, degrees in enumerate(spread)]
    assert best_answer(reference) == "Move 3 metres to the door."
    unseen = [s for s in reference if not s.truth.visible]
    assert best_answer(unseen) == "No door in view. Turn slowly to scan."
    assert learn_constant([])(reference[0]) == FIXED


def test_the_question_alone_chooses_by_what_is_asked_for() -> None:
    left = [sample(i, i, "Where is the door?", 40.0) for i in range(4)]
    stairs = [replace(sample(9, i, "Where are the stairs?", -40.0), text="Turn right 40 degrees.") for i in range(6)]
    answer = learn_question_only([*left, *stairs])
    assert answer(sample(0, 0, "Lead me to the door.", 0.0)).startswith("Turn left 40 degrees")
    assert answer(sample(0, 0, "Take me to the staircase.", 0.0)) == "Turn right 40 degrees."
    # without a known landmark: the most alike question
    unknown = [replace(sample(20, 20, "Where is the moon?", None), text="I do not know that place.")]
    assert (
        learn_question_only([*left, *unknown])(sample(0, 0, "Where is the sun?", None)) == "I do not know that place."
    )


def test_nothing_is_learnt_from_what_is_judged() -> None:
    """Each scene's answer is a text of its own: who can say it has seen it."""
    judged = [replace(sample(i, i // 2, "?", None), text=f"scene {i // 2}") for i in range(20)]
    for learn in (learn_constant, learn_question_only):
        texts = cross_fitted(learn, judged, judged)
        assert all(text != one.text for one, text in zip(judged, texts, strict=True))
        assert set(texts) <= {one.text for one in judged}
    train = [replace(sample(50 + i, 100, "?", None, split="train"), text="learnt") for i in range(3)]
    assert set(cross_fitted(learn_constant, judged, [*judged, *train])) == {"learnt"}
    assert set(cross_fitted(learn_constant, judged[:1], judged[:1])) == {FIXED}


def test_one_question_only_answer_per_thing_in_a_real_data_set(tmp_path: Path) -> None:
    samples = read_dataset(make_dataset(tmp_path / "set", splits=("train", "test"), scenes=16)).samples
    judged = [s for s in samples if s.split == "test"]
    texts = cross_fitted(learn_question_only, judged, samples)
    by_thing = {(s.truth.kind, s.truth.target): text for s, text in zip(judged, texts, strict=True)}
    assert len(by_thing) == 6
    assert by_thing["unknown", "moon"] == "I do not know that place."
    assert len(set(cross_fitted(learn_constant, judged, samples))) == 1


@pytest.mark.parametrize("learn", [learn_constant, learn_question_only])
def test_judged_train_questions_are_no_reference(learn: Learn) -> None:
    """When the train split itself is evaluated, it is cross-fitted too."""
    judged = [replace(sample(i, i, "?", None, split="train"), text=f"scene {i}") for i in range(6)]
    texts = cross_fitted(learn, judged, judged)
    assert all(text != one.text for one, text in zip(judged, texts, strict=True))
