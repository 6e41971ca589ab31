"""A small sweep of tiny models: its YAML, its data, its model, and what it leaves when it has run."""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from nav_vlm_training.sweep.reading import read_sweep
from nav_vlm_training.sweep.report import write_sweep
from nav_vlm_training.sweep.run import SweepPlan, Swept, sweep
from nav_vlm_training.sweep.trials import Layout, lay_out
from tests.nav_vlm_training.datasets import make_dataset
from tests.tiny_models import make_tiny_blip2

SMALL: dict[str, Any] = {
    "name": "tiny", "data": "set", "model": "model",
    "fit": {
        "batch": 6, "micro_batch": 6, "epochs": 1, "rate": 0.01, "warmup": 2, "max_new_tokens": 4, "val_questions": 4,
        "evaluate_every": 1,
    },
    "evaluate": {"split": "test", "max_new_tokens": 4},
    "seeds": [0, 1], "compare_with": "variants/lm_only",
    "groups": [
        {"name": "variants", "grid": {"variant": ["zero_shot", "lm_only"]}},
        {"name": "again", "seeds": [0], "grid": {"rank": [16]}},
    ],
}  # fmt: skip


def make_root(root: Path) -> Path:
    """Data set and model that `SMALL` names."""
    make_tiny_blip2(root / "model")
    make_dataset(root / "set", scenes=9, views=1, splits=("train", "val", "test"))
    return root


def write_yaml(root: Path, file: str = "sweep.yaml", **changed: Any) -> Path:
    """`SMALL` with those keys in place of its own; None takes one away."""
    found: Mapping[str, Any] = {key: value for key, value in {**SMALL, **changed}.items() if value is not None}
    path = root / file
    path.write_text(yaml.safe_dump(found, sort_keys=False), encoding="utf-8")
    return path


def layout(root: Path, file: str = "laid.yaml", **changed: Any) -> Layout:
    return lay_out(read_sweep(write_yaml(root, file, **changed)))


def plan_of(file: Path, out: Path, **options: Any) -> SweepPlan:
    return SweepPlan(**{"file": file, "out": out, "device": "cpu", "quiet": True, "command": "sweep", **options})


def run(file: Path, out: Path, **options: Any) -> Swept:
    return sweep(plan_of(file, out, **options))


@functools.cache
def finished(base: Path) -> Path:
    """A folder with model, set, sweep.yaml and out, in which that sweep has run. Nobody writes to it.

    base: the session's folder; the sweep runs once, whichever test asks first.
    """
    root = base / "finished-sweep"
    root.mkdir()
    make_root(root)
    found = run(write_yaml(root), root / "out", workers=2)
    assert found.failed == {}
    write_sweep(root / "out", "sweep")
    return root


def copy_of(root: Path, where: Path) -> Path:
    """The sweep's folder, to be changed."""
    return Path(shutil.copytree(root / "out", where))


def ledger_of(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "ledger.jsonl").read_text().splitlines()]


def events(out: Path) -> list[tuple[str, str]]:
    """What the ledger says: event and trial."""
    return [(line["event"], line["trial"]) for line in ledger_of(out)]
