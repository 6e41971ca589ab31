"""The figures of a sweep: a row for all that differs in its seed alone, with intervals; how rows differ."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from nav_vlm_node.score import MEASURES
from nav_vlm_training.evaluation.report import TEXT_MEASURES
from nav_vlm_training.evaluation.texts import WHOLE
from nav_vlm_training.sweep.intervals import difference, interval
from nav_vlm_training.sweep.rows import DoneRow, DoneTrial, merged

COMPARED = "direction_accuracy"
WORDS = "words_per_answer"
_OF_TRIALS = ("seed", "seconds", "best_step", "updates", "learnt", "commit", "date", "machine", "identity")


def figures_of(layout: Mapping[str, Any], rows: Sequence[DoneRow]) -> dict[str, Any]:
    """sweep.json: `rows`, each once whichever groups it is in; `differences`, by group; `missing` and done `trials`."""
    unique = merged(rows)
    done = {str(trial.about["name"]): trial for row, _ in unique for trial in row.trials.values()}
    wanted = dict.fromkeys(name for row in rows for name in row.wanted)
    return {
        "name": layout["name"],
        "rows": [_row(row, names) for row, names in unique],
        "differences": _differences(rows, layout["compare_with"]),
        "missing": [name for name in wanted if name not in done],
        "trials": {
            name: {key: trial.about[key] for key in _OF_TRIALS if key in trial.about} for name, trial in done.items()
        },
    }


def _row(row: DoneRow, names: Sequence[str]) -> dict[str, Any]:
    trials = list(row.trials.values())
    figures = [trial.figures for trial in trials]
    texts = [one["text"] for one in figures if "text" in one]
    words = [{"value": one[WORDS]["mean"]} for one in figures]
    return {
        "name": names[0],
        "groups": list(names),
        "data": row.data,
        "variant": row.config["variant"],
        "trained_parameters": trials[0].about["trained_parameters"],
        "trained": trials[0].about["trained"],
        "seeds": [seed for seed in row.trials if seed is not None],
        "questions": figures[0]["n"],
        **{name: interval(row.outcomes, name).to_json() for name in MEASURES},
        **_present({name: over_seeds([one.get(name) for one in figures]) for name in TEXT_MEASURES}),
        **_present({name: over_seeds([{"value": text[name]} for text in texts]) for name in WHOLE}),
        **_present({WORDS: over_seeds(words)}),
        "baselines": _baselines(trials),
        "config": dict(row.config),
        "trials": [trial.about["name"] for trial in trials],
    }


def _baselines(trials: Sequence[DoneTrial]) -> dict[str, dict[str, Any]]:
    beside = [trial.figures.get("baselines", {}) for trial in trials]
    return {
        system: _present(
            {name: over_seeds([one[system].get(name) for one in beside]) for name in (*MEASURES, *TEXT_MEASURES)}
        )
        for system in beside[0]
    }


def over_seeds(figures: Sequence[Mapping[str, Any] | None]) -> dict[str, Any] | None:
    """The mean over seeds, with the smallest and the largest; of one seed the evaluation's own interval."""
    found = [one for one in figures if one and one.get("value") is not None]
    if len(found) < 2:
        return dict(found[0]) if found else None
    values = [float(one["value"]) for one in found]
    counted = {"n": found[0]["n"]} if "n" in found[0] else {}
    mean = math.fsum(values) / len(values)
    return {"value": mean, "low": min(values), "high": max(values), "seeds": len(values), **counted}


def _present(figures: Mapping[str, dict[str, Any] | None]) -> dict[str, dict[str, Any]]:
    return {name: figure for name, figure in figures.items() if figure is not None}


def _differences(rows: Sequence[DoneRow], compare_with: str) -> list[dict[str, Any]]:
    """Of each row from the first of its group, and from the row that all are compared with; no two rows twice."""
    by_name = {row.name: row for row in rows}
    first: dict[str, str] = {}
    found = []
    pairs: set[frozenset[str]] = set()
    for row in rows:
        against = [first.setdefault(row.group, row.name), *([compare_with] if compare_with else [])]
        for name in dict.fromkeys(against):
            other = by_name[name]
            # Rows about other data have nothing to be compared on.
            if other.id == row.id or not row.data_sha256 or row.data_sha256 != other.data_sha256:
                continue
            if frozenset((row.id, other.id)) in pairs:
                continue
            pairs.add(frozenset((row.id, other.id)))
            one = difference(row.outcomes, other.outcomes, COMPARED)
            if one.n:
                about = {"group": row.group, "row": row.name, "against": name, "measure": COMPARED}
                found.append({**about, **one.to_json()})
    return found
