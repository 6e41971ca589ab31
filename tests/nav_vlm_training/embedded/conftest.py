"""A handful of drawn frames on disk, in the layout of a run folder, made once per test process."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

os.environ.setdefault("LP_NUM_THREADS", "1")  # tests run in parallel already

SCENES, VIEWS = 5, 3


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with frames/train (two worlds) and frames/val (one), each of SCENES * VIEWS frames."""
    from nav_vlm_sim.records import frame_to_json, take_frame
    from nav_vlm_sim.scene import sample_scene
    from nav_vlm_sim.world import SCENES_PER_WORLD, World
    from nav_vlm_training.embedded.architecture import VIEW
    from nav_vlm_training.embedded.make import FIRST_HELD_OUT_WORLD

    out = tmp_path_factory.mktemp("drawn")
    for split, number in (("train", 0), ("train", 1), ("val", FIRST_HELD_OUT_WORLD)):
        frames = []
        with World(number, "train") as world:
            for k in range(SCENES):
                scene = sample_scene(number * SCENES_PER_WORLD + k, family="train")
                world.load(scene)
                frames += [take_frame(world, scene, index, VIEW) for index in range(VIEWS)]
        shard = out / "frames" / split / f"world-{number:06d}"
        shard.mkdir(parents=True)
        for name in ("rgb", "cells", "depth"):
            np.save(shard / f"{name}.npy", np.stack([getattr(frame, name) for frame in frames]))
        (shard / "truth.jsonl").write_text("".join(json.dumps(frame_to_json(frame)) + "\n" for frame in frames))
    return out


@pytest.fixture
def run(drawn: Path, tmp_path: Path) -> Path:
    """A run folder of a test's own, with those frames."""
    shutil.copytree(drawn, tmp_path / "run")
    return tmp_path / "run"
