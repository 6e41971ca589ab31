"""A run folder of the embedded model: which stages are done, with which settings; how to go on.

run.json holds the settings, and for each finished stage when, where and how long, and what it measured. A stage that
is made again unmakes the record of those after it, because they were made from what was there before.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from nav_vlm_node import results
from nav_vlm_node.errors import UserError
from nav_vlm_node.vlm.card import finite, read_model_card
from nav_vlm_node.vlm.load import choose_device
from nav_vlm_training.embedded.make import (
    MakeConfig,
    make_adapter,
    make_base,
    make_eyes,
    make_frames,
    make_perception,
    take_base,
)

RECORD = "run.json"
Stage = Callable[[MakeConfig, Path], Mapping[str, Any] | None]
# name -> how it is made, what it leaves, and the settings that it is done for
STAGES: dict[str, tuple[Stage, str, tuple[str, ...]]] = {
    "frames": (make_frames, "frames/train", ("first_world", "worlds", "held_out_worlds", "walks", "headings")),
    "perception": (make_perception, "perception/checkpoint.pt", ("start", "samples", "rate", "language_worlds")),
    "base": (make_base, "base/model.safetensors", ("language_worlds", "walks", "passes", "base_steps", "base_rate")),
    "eyes": (
        make_eyes,
        "eyes/checkpoint.pt",
        ("base", "language_worlds", "walks", "eyes_samples", "eyes_rate", "rank", "alpha"),
    ),
    "adapter": (
        make_adapter,
        "base/adapters/guide",
        (
            *("base", "adapter", "language_worlds", "walks", "passes", "eyes_samples"),
            *("adapter_steps", "adapter_rate", "rank", "alpha"),
        ),
    ),
}
FIXED = ("seed",)  # cannot change within a run
MAY_BE_ZERO = ("seed", "first_world", "headings", "eyes_samples")


def make(run: Path, given: Mapping[str, Any], stages: Iterable[str], *, command: str, again: bool = False) -> None:
    """Make those stages that are not done. given: settings by name of MakeConfig; the others are the run's, or usual.

    again: also make what is done. Raises UserError, and KeyboardInterrupt as it comes.
    """
    record = read_record(run)
    config = settings(record, given)
    choose_device(config.device)
    for model in filter(None, (config.start, config.base)):
        read_model_card(Path(model))
    try:
        run.mkdir(parents=True, exist_ok=True)
        for name in stages:
            if config.base and name in ("perception", "base"):
                _say(f"{name}: that of {config.base}")
                take_base(config, run)
                continue
            if name == "eyes" and not config.eyes_samples:
                continue
            if not again and is_done(record, run, name, config):
                _say(f"{name}: done already")
                continue
            _needs(run, name)
            _say(f"{name} ...")
            record = _make_one(run, record, name, config, command)
    except OSError as error:
        raise UserError(
            f"cannot write to {run}: {error.strerror or error}; put that right and give the same command again"
        ) from error


def read_record(run: Path) -> dict[str, Any]:
    """run.json, {} where there is none. Raises UserError for a damaged one."""
    path = run / RECORD
    if not path.exists():
        return {}
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        assert isinstance(record["settings"], dict)
        assert isinstance(record["stages"], dict)
    except (OSError, ValueError, KeyError, TypeError, AssertionError):
        raise UserError(f"{path} is damaged; delete it (what was made stays), and give all settings again") from None
    return dict(record)


def settings(record: Mapping[str, Any], given: Mapping[str, Any]) -> MakeConfig:
    """The settings of a run: what is given, else what it had, else the usual. Raises UserError for what cannot be."""
    names = {field.name for field in fields(MakeConfig)}
    kept = {name: value for name, value in record.get("settings", {}).items() if name in names}
    for name, value in given.items():
        if name in FIXED and kept.get(name, value) != value:
            raise UserError(f"--{name} {value}: this run has {name} {kept[name]}; give another --run")
        if isinstance(value, float) and not 0 < value < 1:
            raise UserError(f"--{name.replace('_', '-')} {value}: give a number between 0 and 1")
        if isinstance(value, int) and value < (0 if name in MAY_BE_ZERO else 1):
            raise UserError(f"--{name.replace('_', '-')} {value}: give a number from {int(name not in MAY_BE_ZERO)} up")
    config = replace(MakeConfig(), **{**kept, **given})
    if config.language_worlds >= config.worlds:
        raise UserError(
            f"--language-worlds {config.language_worlds}: perception needs some of the {config.worlds} worlds too; "
            "give fewer, or more --worlds"
        )
    return config


def is_done(record: Mapping[str, Any], run: Path, name: str, config: MakeConfig) -> bool:
    """Whether a stage was finished with these settings, and what it left is there."""
    done = record.get("stages", {}).get(name)
    _, left, names = STAGES[name]
    return bool(done) and (run / left).exists() and all(done["settings"].get(n) == getattr(config, n) for n in names)


def _make_one(run: Path, record: dict[str, Any], name: str, config: MakeConfig, command: str) -> dict[str, Any]:
    later = list(STAGES)[list(STAGES).index(name) :]
    kept = {stage: done for stage, done in record.get("stages", {}).items() if stage not in later}
    record = {"settings": asdict(config), "stages": kept}
    results.write(run / RECORD, record)
    began = time.monotonic()
    figures = STAGES[name][0](config, run) or {}
    kept[name] = {
        **results.record(command, seeds={"make": config.seed}),
        "settings": asdict(config),
        "seconds": round(time.monotonic() - began, 1),
        "figures": finite({key: value for key, value in figures.items() if key != "examples"}),
    }
    results.write(run / RECORD, record)
    return record


def _needs(run: Path, name: str) -> None:
    """Raises UserError where what a stage starts from is missing."""
    before: dict[str, tuple[str, ...]] = {
        "frames": (), "perception": ("frames",), "base": ("frames", "perception"), "eyes": ("frames", "base"),
        "adapter": ("frames", "base"),
    }  # fmt: skip
    for stage in before[name]:
        if not (run / STAGES[stage][1]).exists():
            raise UserError(f"{name} needs {run / STAGES[stage][1]}; make it first: --stage {stage}")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
