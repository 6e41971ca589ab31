#!/usr/bin/env python3
r"""Put a sweep, the baselines beside it and models of other families into one file: docs/results/ablation.json.

    python tools/join_ablation.py --sweep runs/ablation/sweep --beside runs/ablation/beside/report.json \
        --other llava=runs/vlms/llava-0,runs/vlms/llava-1 --out docs/results/ablation.json

--sweep   a folder of `nav-vlm-train sweep`, whose rows come as they are in its sweep.json
--beside  report.json of `nav-vlm-train evaluate` on the same data; its baselines become rows
--other   NAME=FOLDER,...: evaluations of one model under several seeds, each with report.json and outcomes.json

All rows have the same keys, so that one table holds them. Intervals are over scenes, and over seeds where there are
several.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nav_vlm_node import results
from nav_vlm_node.errors import UserError
from nav_vlm_node.score import MEASURES
from nav_vlm_training.evaluation.report import SYSTEMS, TEXT_MEASURES
from nav_vlm_training.sweep.intervals import interval
from nav_vlm_training.sweep.outcomes import FILE, read_outcomes
from nav_vlm_training.sweep.table import over_seeds


def from_sweep(figures: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of sweep.json, without what their trials say anyway."""
    return [
        {key: value for key, value in row.items() if key not in ("config", "trained", "baselines")}
        for row in figures["rows"]
    ]


def from_evaluation(figures: Mapping[str, Any], data: str) -> list[dict[str, Any]]:
    """The baselines of an evaluation as rows."""
    rows = []
    for system, found in figures["baselines"].items():
        about = {
            "name": f"baselines/{system}",
            "groups": [f"baselines/{system}"],
            "data": data,
            "about": SYSTEMS[system],
        }
        measured = {name: found[name] for name in (*MEASURES, *TEXT_MEASURES) if name in found}
        rows.append({**about, "trained_parameters": 0, "seeds": [], "questions": figures["n"], **measured})
    return rows


def from_others(name: str, folders: Sequence[Path], data: str) -> dict[str, Any]:
    """One row of a model that was evaluated under several seeds."""
    figures = [_read(folder / "report.json") for folder in folders]
    outcomes = dict(enumerate(read_outcomes(folder / FILE) for folder in folders))
    texts = {key: over_seeds([one.get(key) for one in figures]) for key in TEXT_MEASURES}
    return {
        "name": f"other models/{name}", "groups": [f"other models/{name}"], "data": data,
        "trained_parameters": figures[0]["trained_parameters"], "seeds": list(outcomes), "questions": figures[0]["n"],
        **{measure: interval(outcomes, measure).to_json() for measure in MEASURES},
        **{key: found for key, found in texts.items() if found},
        "trials": [one["command"] for one in figures],
    }  # fmt: skip


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}); measure it again") from None


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the file; returns the exit status."""
    parser = argparse.ArgumentParser(description="one file of figures for the ablation")
    parser.add_argument("--sweep", type=Path, required=True, metavar="DIR")
    parser.add_argument("--beside", type=Path, metavar="F.json")
    parser.add_argument("--other", action="append", default=[], metavar="NAME=DIR,...")
    parser.add_argument("--out", type=Path, required=True, metavar="F.json")
    args = parser.parse_args(arguments)
    try:
        sweep = _read(args.sweep / "sweep.json")
        data = sweep["rows"][0]["data"]
        rows = from_sweep(sweep)
        if args.beside:
            rows += from_evaluation(_read(args.beside), data)
        for given in args.other:
            name, _, folders = given.partition("=")
            rows.append(from_others(name, [Path(folder) for folder in folders.split(",")], data))
        same = {key: sweep[key] for key in ("command", "commit", "date", "machine", "versions")}
        kept = {"differences": sweep["differences"], "trials": sweep["trials"], "missing": sweep["missing"]}
        results.write(args.out, {**same, "rows": rows, **kept})
    except (UserError, KeyError) as error:
        print(f"join_ablation: error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"join_ablation: error: cannot write {args.out}: {error.strerror or error}", file=sys.stderr)
        return 2
    print(args.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
