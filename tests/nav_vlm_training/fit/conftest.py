"""Tiny models and a small data set for training's tests, made once a session. Nobody writes to them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nav_vlm_training.fit.config import FitConfig
from nav_vlm_training.fit.setup import FitPlan
from tests.nav_vlm_training.datasets import make_dataset
from tests.tiny_models import Language, make_tiny_blip2

LANGUAGES: tuple[Language, ...] = ("t5", "opt")
SHORT: dict[str, Any] = {
    "batch": 8, "micro_batch": 4, "epochs": 1, "rate": 0.01, "warmup": 2, "max_new_tokens": 4, "val_questions": 4,
}  # fmt: skip


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """By language; under "t5-still" and "opt-still" the same without dropout."""
    root = tmp_path_factory.mktemp("models")
    found: dict[str, Path] = {}
    for language in LANGUAGES:
        found[language] = make_tiny_blip2(root / language, language)
        found[f"{language}-still"] = still = make_tiny_blip2(root / f"{language}-still", language)
        config = json.loads((still / "config.json").read_text())
        for part, names in {
            "text_config": ("dropout_rate", "dropout", "attention_dropout"),
            "qformer_config": ("hidden_dropout_prob", "attention_probs_dropout_prob"),
        }.items():
            config[part].update({name: 0.0 for name in names if name in config[part]})
        (still / "config.json").write_text(json.dumps(config))
    return found


@pytest.fixture(params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 questions to learn from (4 pictures with 6 each, hazards and an unknown place among them), 12 to validate."""
    return make_dataset(tmp_path_factory.mktemp("data") / "set", scenes=6, views=1, splits=("train", "train", "val"))


Planned = Callable[..., FitPlan]


@pytest.fixture
def plan(models: dict[str, Path], data: Path, tmp_path: Path) -> Planned:
    """A plan for a short run in a folder of the test's own; `model`, `run`, `plan_*` and settings can be given."""

    def make(*, model: str = "t5", run: str = "run", **given: Any) -> FitPlan:
        of_plan = {name: given.pop(name) for name in tuple(given) if name in FitPlan.__dataclass_fields__}
        config = FitConfig(**{**SHORT, **given})
        options: dict[str, Any] = {"data": data, "run": tmp_path / run, "quiet": True, "device": "cpu", **of_plan}
        return FitPlan(model=models[model], config=config, **options)

    return make
