"""`nav-vlm-train sweep`: many trainings and their evaluations from one YAML; the same command goes on with them."""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from nav_vlm_node import results
from nav_vlm_node.errors import UserError

HELP = "many trainings from one YAML: variants, ranks, rates, augmentation; one table, one plot"
NO_CACHE = "none"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("file", type=Path, metavar="SWEEP.yaml", help="what is varied (see the training guide)")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="everything is kept there; the same command goes on"
    )
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="trials at a time (1)")
    parser.add_argument("--threads", type=int, default=0, metavar="N", help="of each trial (the cores, by workers)")
    parser.add_argument(
        "--cache", metavar="DIR", help=f"keep what the vision model sees there, or {NO_CACHE} (in --out)"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N (auto)")
    parser.add_argument(
        "--ray", nargs="?", const="", metavar="ADDRESS",
        help="leave the trials to Ray Tune: on this machine, or on the cluster at that address (auto: the running one)",
    )  # fmt: skip
    parser.add_argument("--list", action="store_true", help="say which trials there are and which are done; run none")
    parser.add_argument("--report", action="store_true", help="only write table and plot of what is done")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Run the trials, write table and plot; 2 where a trial failed. Raises UserError, KeyboardInterrupt."""
    from nav_vlm_training.sweep.report import MARKDOWN, write_sweep
    from nav_vlm_training.sweep.run import SweepPlan, status, sweep

    if importlib.util.find_spec("matplotlib") is None:
        raise UserError("matplotlib is missing, which the plot is drawn with; run: pip install matplotlib")
    command = results.command_line("nav-vlm-train", args.argv)
    plan = SweepPlan(
        file=args.file, out=args.out, workers=args.workers, threads=args.threads, cached=args.cache != NO_CACHE,
        cache=Path(args.cache) if args.cache not in (None, NO_CACHE) else None, device=args.device, ray=args.ray,
        command=command,
    )  # fmt: skip
    if args.list:
        _list(status(plan).trials, as_json=args.json)
        return 0
    swept = status(plan, report=True) if args.report else sweep(plan)
    for name, reason in swept.failed.items():
        print(f"failed: {name}: {reason}", file=sys.stderr)
    done = sum(swept.trials.values())
    if done:
        figures = write_sweep(args.out, command)
        if args.json:
            print(json.dumps({**figures, "failed": swept.failed}, allow_nan=False))
        else:
            print(args.out / MARKDOWN)
    if swept.failed:
        print(
            f"{done} of {len(swept.trials)} trials are done; the same command tries the others again", file=sys.stderr
        )
        return 2
    return 0


def _list(trials: Mapping[str, bool], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"trials": trials}))
        return
    for name, is_done in trials.items():
        print(f"{'done' if is_done else 'to do':6} {name}")
