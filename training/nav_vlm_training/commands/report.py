"""`nav-vlm-train report`: reports again from what is kept, without a model, and evaluations side by side."""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nav_vlm_node import results
from nav_vlm_node.errors import UserError

HELP = "write the reports of evaluations and sweeps again from what they kept; several evaluations side by side"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "folders", type=Path, nargs="+", metavar="DIR", help="of `evaluate --out` or `sweep --out`, in any number"
    )
    parser.add_argument("--data", type=Path, metavar="D", help="the data set (where the evaluation's command has it)")


def run(args: argparse.Namespace) -> int:
    """Report. Raises UserError."""
    if importlib.util.find_spec("matplotlib") is None:
        raise UserError("matplotlib is missing, which the report is drawn with; run: pip install matplotlib")
    from nav_vlm_training.evaluation.kept import read_evaluation
    from nav_vlm_training.evaluation.report import write_report
    from nav_vlm_training.sweep.report import MARKDOWN, write_sweep
    from nav_vlm_training.sweep.rows import is_sweep

    evaluations = {}
    for folder in args.folders:
        if is_sweep(folder):
            write_sweep(folder, results.command_line("nav-vlm-train", args.argv))
            print(folder / MARKDOWN)
            continue
        evaluations[str(folder)] = evaluation = read_evaluation(folder, args.data)
        try:
            write_report(evaluation, folder)
        except OSError as error:
            where = error.filename or folder
            raise UserError(f"cannot write {where}: {error.strerror or error}; what is kept stays") from None
        print(folder / "report.html")
    if len(evaluations) > 1:
        print(f"\n{_side_by_side({name: one.figures for name, one in evaluations.items()})}")
    return 0


def _side_by_side(figures: dict[str, dict[str, Any]]) -> str:
    """A table of all measures, a column for each evaluation."""
    from nav_vlm_node.score import MEASURES
    from nav_vlm_training.evaluation.report import TEXT_MEASURES, share, table

    names: Sequence[str] = [n for n in (*MEASURES, *TEXT_MEASURES) if any(n in one for one in figures.values())]
    return table(["measure", *figures], [[name, *(share(one.get(name)) for one in figures.values())] for name in names])
