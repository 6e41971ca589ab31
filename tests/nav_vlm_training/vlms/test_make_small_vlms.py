"""The tool that makes the two small models, on four frames."""

from __future__ import annotations

import importlib.util
import json
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from nav_vlm_sim.records import frame_to_json, take_frame
from nav_vlm_sim.scene import sample_scene
from nav_vlm_sim.world import World
from nav_vlm_training.embedded.architecture import VIEW
from nav_vlm_training.vlms import describing
from nav_vlm_training.vlms.loading import load_other

TOOL = Path(__file__).parents[3] / "tools" / "make_small_vlms.py"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_small_vlms", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One world to learn from and one to be scored on, two frames each."""
    root = tmp_path_factory.mktemp("frames")
    for number, split in ((1, "train"), (2, "val")):
        with World(number) as world:
            scene = sample_scene(number)
            world.load(scene)
            shown = [take_frame(world, scene, index, VIEW) for index in range(2)]
        shard = root / split / f"world-{number:06d}"
        shard.mkdir(parents=True)
        for name in ("rgb", "cells", "depth"):
            np.save(shard / f"{name}.npy", np.stack([getattr(frame, name) for frame in shown]))
        (shard / "truth.jsonl").write_text("".join(json.dumps(frame_to_json(frame)) + "\n" for frame in shown))
    return root


@pytest.fixture
def words(frames: Path, tmp_path: Path) -> list[str]:
    return ["--frames", str(frames), "--out", str(tmp_path / "out"), "--worlds", "1", "--steps", "2"]


@pytest.mark.parametrize("family", ["llava", "instructblip"])
def test_a_model_is_made_once_and_told_again(
    family: str, tool: ModuleType, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    torch.set_num_threads(1)
    monkeypatch.setattr(describing, "check", partial(describing.check, questions=3))
    words += ["--family", family]
    assert tool.main(words) == 0
    printed = capsys.readouterr().out
    out = tmp_path / "out"
    facts = json.loads((out / f"{family}.json").read_text())
    assert facts["questions"] == 2 * tool.SHARES[family][0] * tool.SHARES[family][1]
    assert facts["command"].startswith("python tools/make_small_vlms.py --frames ")
    assert printed.startswith(f"{family}: 2 updates, {facts['questions']} questions, zero-shot direction_accuracy ")
    assert load_other(out / family, torch.device("cpu"), torch.float32).family == family
    assert not list(out.glob("*.pt"))

    def again(*args: Any) -> None:
        raise AssertionError("made again")

    monkeypatch.setattr(tool, "make", again)
    assert tool.main(words) == 0
    assert capsys.readouterr().out == printed


def test_too_few_worlds_are_one_line(
    tool: ModuleType, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tool.main([*words, "--worlds", "2"]) == 2
    assert "train has 1 worlds: give so many --worlds at most" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
