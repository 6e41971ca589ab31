"""`sweep --ray` on a real Ray of this machine with two workers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from nav_vlm_training.sweep.ray_tune import TUNE
from tests.nav_vlm_training.datasets import make_dataset
from tests.tiny_models import make_tiny_blip2

SWEEP = """
name: tiny
data: data
model: model
fit: {samples: 4, epochs: 1, batch: 4, micro_batch: 4, warmup: 1, metric: loss, val_questions: 2, max_new_tokens: 4}
evaluate: {split: val, limit: 2, max_new_tokens: 4}
groups:
  - name: some
    grid: {variant: [zero_shot, lm_only, qformer]}
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("ray")
    make_tiny_blip2(root / "model")
    make_dataset(root / "data", scenes=6, views=1, splits=("train", "train", "val"))
    (root / "sweep.yaml").write_text(SWEEP)
    return root


def ledger(out: Path) -> list[tuple[str, str]]:
    lines = [json.loads(line) for line in (out / "ledger.jsonl").read_text().splitlines()]
    return [(line["event"], line["trial"].partition("-")[0]) for line in lines]


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own: what Ray starts then ends with it, and not with pytest."""
    command = [sys.executable, "-m", "nav_vlm_training.cli", "sweep", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=250)


def test_tune_runs_what_is_not_done(root: Path) -> None:
    out = root / "out"
    words = [str(root / "sweep.yaml"), "--out", str(out), "--workers", "2", "--threads", "1", "--device", "cpu"]
    trials = dict(line.split()[::-1][:2] for line in run(*words, "--list").stdout.splitlines())
    (broken,) = (name for name in trials if name.startswith("lm_only"))
    (out / "trials" / broken).mkdir(parents=True)
    (out / ".lock").touch()
    (out / "trials" / broken / "run").write_text("in the way")
    done = run(*words, "--ray")
    said = done.stderr.splitlines()
    assert done.returncode == 2, done.stderr
    assert any(line.startswith(f"failed: {broken}: ") and "run" in line for line in said), said
    assert said[-1] == "2 of 3 trials are done; the same command tries the others again"
    assert sorted(name for event, name in ledger(out) if event == "done") == ["qformer", "zero_shot"]
    assert [event for event, name in ledger(out) if name == "lm_only"] == ["started", "failed"]
    assert (out / TUNE / "out").is_dir()

    (out / "trials" / broken / "run").unlink()
    assert run(*words).returncode == 0  # what Ray began goes on without it
    assert sorted(name for event, name in ledger(out) if event == "done") == ["lm_only", "qformer", "zero_shot"]
    rows = json.loads((out / "sweep.json").read_text())["rows"]
    assert [row["name"] for row in rows] == ["some/zero_shot", "some/lm_only", "some/qformer"]


def test_no_ray_there(root: Path) -> None:
    done = run(str(root / "sweep.yaml"), "--out", str(root / "nowhere"), "--ray", "127.0.0.1:1")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("nav-vlm-train: error: --ray 127.0.0.1:1: no Ray there")
