from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from nav_vlm_node.errors import UserError
from nav_vlm_node.vlm.blip2 import image_tokens
from nav_vlm_node.vlm.confidence import confidence
from nav_vlm_node.vlm.load import load_engine
from nav_vlm_training.data.samples import Sample, read_dataset
from nav_vlm_training.evaluation.answering import Written
from nav_vlm_training.fit.config import FitConfig
from nav_vlm_training.fit.scoring import generate, resolve_metric, score
from tests.nav_vlm_node.vlm.conftest import picture

QUERIES = ["Where is the exit?", "Is there anything in my way to the nearest chair?", "Stairs?"]


@pytest.fixture
def samples(data: Path) -> list[Sample]:
    return [sample for sample in read_dataset(data).samples if sample.split == "val"]


def test_answers_are_the_engines(models: dict[str, Path], language: str) -> None:
    """Token for token, with the same confidence: what chooses the weights is what the wearer will hear."""
    engine: Any = load_engine(models[language], device="cpu")
    images = [picture(seed) for seed in range(3)]
    expected = engine.generate_batch(engine.encode_batch(images), QUERIES, max_new_tokens=12)
    visual = image_tokens(engine._model, engine._preprocessor(images))
    answers = generate(engine._model, engine._tokenizer, visual, QUERIES, FitConfig(max_new_tokens=12))
    assert [answer.text for answer in answers] == [text for text, _ in expected]
    for answer, (_, tokens) in zip(answers, expected, strict=True):
        assert answer.confidence == pytest.approx(confidence(tokens), rel=1e-4)


def test_beams(models: dict[str, Path], language: str) -> None:
    """One beam of transformers' own gives the greedy answer; OPT does not echo its prompt (13)."""
    engine: Any = load_engine(models[language], device="cpu")
    visual = image_tokens(engine._model, engine._preprocessor([picture(0)] * 3))
    config = FitConfig(max_new_tokens=12)
    greedy, beams = (
        [a.text for a in generate(engine._model, engine._tokenizer, visual, QUERIES, c)]
        for c in (config, replace(config, beams=3))
    )
    assert all("Question" not in text for text in beams)
    no_repeat = generate(engine._model, engine._tokenizer, visual, QUERIES, replace(config, no_repeat_ngram=99))
    assert [answer.text for answer in no_repeat] == [text.strip() for text in greedy]
    assert len(beams) == 3


def test_generation_leaves_no_gradient(models: dict[str, Path]) -> None:
    engine: Any = load_engine(models["t5"], device="cpu")
    visual = image_tokens(engine._model, engine._preprocessor([picture(0)])).requires_grad_()
    generate(engine._model, engine._tokenizer, visual, QUERIES[:1], FitConfig(max_new_tokens=4))
    assert visual.grad is None
    assert not torch.is_inference_mode_enabled()


def test_right_answers_score_one(samples: list[Sample]) -> None:
    right = [Written(sample.text, 1.0) for sample in samples]
    good = score(samples, right, 0.5, "direction_accuracy")
    assert good.value == 1.0
    assert good.figures["same_steps"]["value"] == 1.0
    assert good.figures["loss"] == 0.5
    assert score(samples, right, 0.5, "loss").value == -0.5
    silent = score(samples, [Written("", 0.0)] * len(samples), 0.5, "direction_accuracy")
    assert silent.value == 0.0


def test_what_cannot_be_measured_is_least() -> None:
    assert score([], [], 1.0, "direction_accuracy").value == -math.inf


def test_auto_is_what_the_data_can_tell(samples: list[Sample]) -> None:
    unseen = [sample for sample in samples if not sample.truth.visible]
    assert resolve_metric("auto", samples) == "direction_accuracy"
    assert resolve_metric("auto", unseen) == "same_steps"
    assert resolve_metric("loss", unseen) == "loss"
    with pytest.raises(UserError, match=r"no validation question has a visible target.*give --metric same_steps"):
        resolve_metric("direction_accuracy", unseen)
