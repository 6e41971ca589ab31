"""Tiny models of five families and a small data set, made once a session. Nobody writes to them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from nav_vlm_training.vlms.checks import checked_prompts
from nav_vlm_training.vlms.loading import OtherModel, load_other
from nav_vlm_training.vlms.prompts import Image, Prompts
from tests.nav_vlm_training.datasets import make_dataset
from tests.nav_vlm_training.vlms.tiny_vlms import FAMILIES, make_tiny

Loaded = Callable[[str], tuple[OtherModel, Prompts]]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """By family."""
    root = tmp_path_factory.mktemp("vlms")
    return {family: make_tiny(family, root / family) for family in FAMILIES}


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def loaded(tiny: dict[str, Path]) -> Loaded:
    """A model of a family, the test's own, and how it is asked."""

    def load(family: str) -> tuple[OtherModel, Prompts]:
        other = load_other(tiny[family], torch.device("cpu"), torch.float32)
        return other, checked_prompts(other, picture(0))

    return load


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 questions to learn from, 6 to choose by, 12 to judge by."""
    folder = tmp_path_factory.mktemp("data") / "set"
    return make_dataset(folder, scenes=8, views=1, splits=("train", "train", "val", "test"))


def picture(seed: int) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (32, 32, 3), np.uint8)
