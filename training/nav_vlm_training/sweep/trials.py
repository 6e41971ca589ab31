"""The trials of a sweep: what each depends on, by which it is known, and which row of the table it belongs to."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from nav_vlm_node import paths
from nav_vlm_node.errors import UserError
from nav_vlm_node.vlm.card import model_sha256, read_model_card
from nav_vlm_training.data.samples import Dataset, read_dataset, select
from nav_vlm_training.evaluation.evaluate import BASELINES
from nav_vlm_training.fit.config import FitConfig, from_json, resolve, to_json
from nav_vlm_training.sweep.reading import SEED, Asked, Group, Sweep
from nav_vlm_training.variants import variant_of


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One training and its evaluation; an evaluation alone where the variant trains nothing.

    config: with the variant's own rank and so on; of a variant that trains nothing only its name, and the seed where it
    draws solved questions.
    """

    data: Path
    data_sha256: str
    model: Path
    model_sha256: str
    config: FitConfig
    asked: Asked

    @property
    def trains(self) -> bool:
        return bool(self.config.plan.stages)

    @property
    def shots(self) -> int:
        """Solved questions in the prompt of the evaluation."""
        return 0 if self.trains else self.config.plan.shots

    @property
    def seed(self) -> int | None:
        """None where nothing is drawn: the trial stands for every seed."""
        return self.config.seed if self.trains or self.shots else None

    @property
    def identity(self) -> dict[str, Any]:
        """All that its figures depend on, for JSON."""
        asked = asdict(self.asked)
        asked["encoder"] = Path(self.asked.encoder).name
        del asked["batch"]
        identity = {
            "data_sha256": self.data_sha256, "model_sha256": self.model_sha256, "config": to_json(self.config),
            "evaluate": asked,
        }  # fmt: skip
        return dict(json.loads(json.dumps(identity)))

    @property
    def row(self) -> str:
        """A digest of all but the seed."""
        identity = self.identity
        del identity["config"][SEED]
        return _digest(identity)

    @property
    def name(self) -> str:
        """Of its folder: what people look for first, and a digest of all."""
        config, plan = self.config, self.config.plan
        words = [config.variant]
        if self.trains:
            words += [f"n{config.samples or '-all'}", f"e{config.epochs}", f"lr{config.rate:g}"]
            words += [f"r{plan.rank}"] if plan.layers else []
            words += ["mirror"] if config.mirror else []
            words += [
                f"{name}{count}" for name, count in (("light", config.light), ("rephrase", config.rephrase)) if count
            ]
        words += [f"s{self.seed}"] if self.seed is not None else []
        return "-".join([*words, _digest(self.identity)[:8]])

    def to_json(self) -> dict[str, Any]:
        """Everything, for `from_json`."""
        return {
            **{name: getattr(self, name) for name in ("data_sha256", "model_sha256")},
            "data": str(self.data), "model": str(self.model), "config": to_json(self.config),
            "asked": asdict(self.asked),
        }  # fmt: skip


def trial_from_json(data: Mapping[str, Any]) -> Trial:
    """What `Trial.to_json` wrote."""
    asked: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in data["asked"].items()
    }
    return Trial(
        data=Path(data["data"]), data_sha256=data["data_sha256"], model=Path(data["model"]),
        model_sha256=data["model_sha256"], config=from_json(data["config"]), asked=Asked(**asked),
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Row:
    """Trials that differ in their seed alone. label: what is varied in the group, as words; id: see Trial.row."""

    group: str
    label: str
    id: str
    trials: tuple[Trial, ...]

    @property
    def name(self) -> str:
        """As `compare_with` has it."""
        return f"{self.group}/{self.label}"


@dataclass(frozen=True, kw_only=True)
class Layout:
    """rows: of all groups, in the order of the YAML; a trial may be in several. compare_with: name of a row, or ""."""

    name: str
    rows: tuple[Row, ...]
    compare_with: str

    @property
    def trials(self) -> dict[str, Trial]:
        """By name, each once."""
        return {trial.name: trial for row in self.rows for trial in row.trials}


def lay_out(sweep: Sweep) -> Layout:
    """The trials of a sweep. Reads its data sets and models. Raises UserError that names group and option."""
    known = _Known()
    rows = tuple(row for group in sweep.groups for row in _rows(group, known))
    names = [row.name for row in rows]
    if sweep.compare_with and sweep.compare_with not in names:
        raise UserError(f"compare_with: no row {sweep.compare_with!r}: there are {', '.join(names)}")
    return Layout(name=sweep.name, rows=rows, compare_with=sweep.compare_with)


class _Known:
    """Data sets and models, each read once."""

    def __init__(self) -> None:
        self._data: dict[Path, Dataset] = {}
        self._models: dict[Path, str] = {}

    def data(self, path: Path) -> Dataset:
        path = path.resolve()
        if path not in self._data:
            self._data[path] = read_dataset(path)
        return self._data[path]

    def model(self, directory: Path) -> str:
        directory = directory.resolve()
        if directory not in self._models:
            self._models[directory] = model_sha256(read_model_card(directory).weights)
        return self._models[directory]


def _rows(group: Group, known: _Known) -> list[Row]:
    try:
        data = known.data(group.data)
        model = (group.model or paths.embedded_model()).resolve()
        weights = known.model(model)
        select(data.samples, group.asked.splits)
    except UserError as error:
        raise UserError(f"{group.where}: {error}") from None
    for name in group.asked.baselines:
        if name not in BASELINES:
            raise UserError(
                f"{group.where}: evaluate.baselines: no baseline {name!r}: give some of {', '.join(BASELINES)}"
            )
    rows = []
    for values in itertools.product(*group.grid.values()):
        point = dict(zip(group.grid, values, strict=True))
        trials = {}
        for seed in group.seeds:
            trial = Trial(
                data=group.data.resolve(), data_sha256=data.sha256, model=model, model_sha256=weights,
                config=_config(group, point, seed), asked=group.asked,
            )  # fmt: skip
            trials[trial.name] = trial
        first = next(iter(trials.values()))
        rows.append(Row(group=group.name, label=label_of(point), id=first.row, trials=tuple(trials.values())))
    return rows


def _config(group: Group, point: Mapping[str, Any], seed: int) -> FitConfig:
    try:
        config = resolve(group.settings, {**group.fit, **point, SEED: seed})
    except UserError as error:
        raise UserError(f"{group.where}: {error}") from None
    variant = variant_of(config.variant)
    if not variant.stages:
        return FitConfig(variant=config.variant, seed=seed if variant.shots else 0)
    plan = config.plan
    return replace(config, rank=plan.rank, alpha=plan.alpha, dropout=plan.dropout)


def label_of(point: Mapping[str, Any]) -> str:
    """A point of a grid in words: "joint", "rank 4, rate 0.0001", "no mirror"."""
    words = []
    for name, value in point.items():
        if isinstance(value, bool):
            words.append(name if value else f"no {name}")
        elif isinstance(value, str):
            words.append(value)
        else:
            words.append(f"{name.replace('_', ' ')} {_short(value)}" if value is not None else f"usual {name}")
    return ", ".join(words)


def _short(value: float) -> str:
    """So that two values never look the same."""
    short = f"{value:g}"
    return short if float(short) == value else str(value)


def _digest(identity: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
