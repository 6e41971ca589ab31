"""`sweep --ray` on a real Ray of this machine with two workers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nav_vlm_training import cli
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


def test_tune_runs_what_is_not_done(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = root / "out"
    words = [
        "sweep",
        str(root / "sweep.yaml"),
        "--out",
        str(out),
        "--workers",
        "2",
        "--threads",
        "1",
        "--device",
        "cpu",
    ]
    broken = "lm_only"  # its folder cannot be written to
    assert cli.main([*words, "--list"]) == 0
    trial = next(line.split()[-1] for line in capsys.readouterr().out.splitlines() if broken in line)
    (out / "trials" / trial).mkdir(parents=True)
    (out / ".lock").touch()
    (out / "trials" / trial / "run").write_text("in the way")
    assert cli.main([*words, "--ray"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert any(line.startswith(f"failed: {trial}: ") and "run" in line for line in said), said
    assert said[-1] == "2 of 3 trials are done; the same command tries the others again"
    assert {event for event, name in ledger(out) if name == broken} == {"started", "failed"}
    assert (out / TUNE / "out").is_dir()

    (out / "trials" / trial / "run").unlink()
    assert cli.main([*words, "--ray", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in figures["rows"]] == ["some/zero_shot", "some/lm_only", "some/qformer"]
    assert figures["missing"] == []
    finished = [name for event, name in ledger(out) if event == "done"]
    assert sorted(finished) == ["lm_only", "qformer", "zero_shot"]  # each once
    assert cli.main(words) == 0  # without Ray there is nothing left to do
    assert sorted(name for event, name in ledger(out) if event == "done") == sorted(finished)


def test_no_ray_there(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["sweep", str(root / "sweep.yaml"), "--out", str(root / "nowhere"), "--ray", "127.0.0.1:1"]
    assert cli.main(words) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("nav-vlm-train: error: --ray 127.0.0.1:1: no Ray there")
