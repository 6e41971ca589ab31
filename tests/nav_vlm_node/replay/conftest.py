"""A replay without a real model: a stand-in engine whose answer tells which picture it was shown."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nav_vlm_node.replay.run import Replay, replay
from nav_vlm_node.vlm.scripted import ScriptedEngine


def by_picture(image: Any, query: str) -> str:
    """An answer that depends on every pixel and on the question."""
    number = int.from_bytes(hashlib.sha256(image.tobytes() + query.encode()).digest()[:2], "big")
    return f"Turn left {5 + 5 * (number % 17)} degrees, then move {1 + number // 17 % 9} metres to the door."


class Loader:
    """Stands in for load_engine: engines by the model's directory or the adapter's name; keeps them."""

    def __init__(self) -> None:
        self.by_model: dict[str, Any] = {}
        self.by_adapter: dict[str, Any] = {}
        self.on_token: Callable[[int], None] | None = None
        self.made: list[ScriptedEngine] = []

    def __call__(self, model: str, adapter: str, device: str, dtype: str) -> ScriptedEngine:
        answers = self.by_model.get(model, self.by_adapter.get(adapter, by_picture))
        engine = ScriptedEngine(answers, on_token=self.on_token)
        self.made.append(engine)
        return engine


@pytest.fixture
def loader(monkeypatch: pytest.MonkeyPatch) -> Loader:
    loader = Loader()
    monkeypatch.setattr("nav_vlm_node.vlm.load.load_engine", loader)
    return loader


@pytest.fixture
def replayed(loader: Loader, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Replays a bag into <tmp_path>/out, or `out`; returns the report."""

    def run(bag: Path, out: Path | None = None, **wanted: Any) -> dict[str, Any]:
        return replay(Replay(bag=bag, out=out or tmp_path / "out", quiet=True, **wanted))

    return run
