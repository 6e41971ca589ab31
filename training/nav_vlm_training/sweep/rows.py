"""What the folders of a sweep hold: the rows of its layout with those of their trials that are done."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nav_vlm_node.errors import UserError
from nav_vlm_training.sweep.intervals import BySeed
from nav_vlm_training.sweep.outcomes import FILE, Outcomes, read_outcomes
from nav_vlm_training.sweep.trial import DONE, EVALUATION, FIGURES

LAYOUT, TRIALS = "layout.json", "trials"
_ABOUT, _FIGURES = {"name", "seed", "identity", "trained", "trained_parameters"}, {"n", "words_per_answer"}


@dataclass(frozen=True, kw_only=True)
class DoneTrial:
    """about: its trial.json. figures: of its evaluation."""

    about: Mapping[str, Any]
    figures: Mapping[str, Any]
    outcomes: Outcomes


@dataclass(frozen=True, kw_only=True)
class DoneRow:
    """A row of the layout. wanted: names of its trials. trials: those that are done, by seed (None: it has none)."""

    group: str
    label: str
    id: str
    data: str
    config: Mapping[str, Any]
    wanted: Sequence[str]
    trials: Mapping[int | None, DoneTrial]

    @property
    def name(self) -> str:
        """As `compare_with` has it."""
        return f"{self.group}/{self.label}"

    @property
    def outcomes(self) -> BySeed:
        """Of the trials that are done."""
        return {seed: trial.outcomes for seed, trial in self.trials.items()}

    @property
    def data_sha256(self) -> str:
        """Of what was asked about; "" where no trial is done."""
        return next((str(trial.about["identity"]["data_sha256"]) for trial in self.trials.values()), "")


def is_sweep(folder: Path) -> bool:
    """Whether a sweep was begun there."""
    return (folder / LAYOUT).is_file()


def read_layout(out: Path) -> dict[str, Any]:
    """layout.json. Raises UserError where that folder holds no sweep."""
    try:
        found = json.loads((out / LAYOUT).read_text(encoding="utf-8"))
        return {"name": found["name"], "compare_with": found["compare_with"], "rows": list(found["rows"])}
    except FileNotFoundError:
        raise UserError(f"{out} holds no sweep (no {LAYOUT}); run nav-vlm-train sweep first") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{out / LAYOUT} is damaged ({error}); run the sweep again") from None


def read_rows(out: Path, layout: Mapping[str, Any]) -> list[DoneRow]:
    """Every row of every group. Raises UserError for a trial whose files are damaged."""
    known: dict[str, DoneTrial | None] = {}
    try:
        return [_row(row, out, known) for row in layout["rows"]]
    except (KeyError, TypeError) as error:
        raise UserError(f"{out / LAYOUT} is damaged ({error}); run the sweep again") from None


def _row(row: Mapping[str, Any], out: Path, known: dict[str, DoneTrial | None]) -> DoneRow:
    done: dict[int | None, DoneTrial] = {}
    for name in row["trials"]:
        if name not in known:
            known[name] = _read_trial(out / TRIALS / name)
        trial = known[name]
        if trial is not None:
            done[trial.about["seed"]] = trial
    same = {key: row[key] for key in ("group", "label", "id", "data", "config")}
    return DoneRow(**same, wanted=row["trials"], trials=done)


def merged(rows: Iterable[DoneRow]) -> list[tuple[DoneRow, list[str]]]:
    """Rows with a trial done, each once with all of its seeds, and the names that it has in its groups."""
    found: dict[str, tuple[DoneRow, list[str]]] = {}
    for row in rows:
        if row.trials:
            first, names = found.get(row.id, (row, []))
            trials = sorted({**first.trials, **row.trials}.items(), key=lambda item: item[0] or 0)
            found[row.id] = (replace(first, trials=dict(trials)), [*names, row.name])
    return list(found.values())


def _read_trial(folder: Path) -> DoneTrial | None:
    if not (folder / DONE).exists():
        return None
    try:
        about, figures = (json.loads((folder / name).read_text(encoding="utf-8")) for name in (DONE, FIGURES))
        for found, keys in ((about, _ABOUT), (figures, _FIGURES)):
            if not isinstance(found, dict) or not keys <= found.keys():
                raise ValueError("not all is there")
    except (OSError, ValueError) as error:
        raise UserError(f"{folder} is damaged ({error}); delete {DONE} there and run the sweep again") from None
    return DoneTrial(about=about, figures=figures, outcomes=read_outcomes(folder / EVALUATION / FILE))
