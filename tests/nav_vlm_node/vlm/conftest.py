"""Tiny BLIP-2s for the engine's tests, each built once a session; tests that change files copy them first."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tests.tiny_models import IMAGE_SIZE, Language, make_tiny_blip2

LANGUAGES: tuple[Language, ...] = ("t5", "opt")


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("tiny")
    return {language: make_tiny_blip2(root / language, language, with_adapter=True) for language in LANGUAGES}


@pytest.fixture(params=LANGUAGES)
def tiny(request: pytest.FixtureRequest, tiny_models: dict[str, Path]) -> Path:
    """A T5 one, then an OPT one, each with the adapter `guide`. Not to be written to."""
    return tiny_models[request.param]


@pytest.fixture
def copied(tiny_models: dict[str, Path], tmp_path: Path) -> Callable[[str], Path]:
    """A copy that the test may spoil."""

    def copy(language: str) -> Path:
        return Path(shutil.copytree(tiny_models[language], tmp_path / language))

    return copy


def picture(seed: int, size: int = IMAGE_SIZE) -> npt.NDArray[np.uint8]:
    """uint8 [size, size, 3]: random blocks."""
    blocks = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return np.ascontiguousarray(blocks.repeat(size // 4, 0).repeat(size // 4, 1))


@pytest.fixture
def pictures() -> list[npt.NDArray[np.uint8]]:
    return [picture(seed) for seed in range(4)]
