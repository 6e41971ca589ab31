"""`nav-vlm-train merge`: make one model of a base and an adapter, and score it again."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

HELP = "make one model of a base and an adapter, and score it again"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--adapter", type=Path, required=True, metavar="D", help="adapter directory")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the merged model goes")
    parser.add_argument(
        "--data", type=Path, required=True, metavar="D", help="a data set to score it on, before and after"
    )
    parser.add_argument("--model", type=Path, metavar="D", help="the base (the model that comes with nav_vlm)")
    parser.add_argument("--split", default="val", metavar="S", help="which questions (val)")
    parser.add_argument("--limit", type=int, default=256, metavar="N", help="at most N of them, 0 for all (256)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of which are drawn (0)")
    parser.add_argument(
        "--dtype", default="float32", choices=("float32", "bfloat16", "float16"),
        help="of the weights that are written; the sum is made in float32 (float32)",
    )  # fmt: skip
    parser.add_argument("--device", default="auto", help="of the scoring: auto, cpu, cuda, cuda:N (auto)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Merge and score. Raises UserError."""
    from nav_vlm_node import paths
    from nav_vlm_training.fit.merging import MergePlan, merge

    figures = merge(
        MergePlan(
            model=args.model or paths.embedded_model(), adapter=args.adapter, out=args.out, data=args.data,
            split=args.split, limit=args.limit, seed=args.seed, dtype=args.dtype, device=args.device,
        )
    )  # fmt: skip
    if args.json:
        json.dump({"out": str(args.out), **figures}, sys.stdout, allow_nan=False)
        print()
        return 0
    for name in ("direction_accuracy", "reversal_rate", "coverage"):
        was, now = (figures[side][name]["value"] for side in ("before", "after"))
        print(f"{name:20} {_number(was)} apart, {_number(now)} merged")
    print(f"{'same answers':20} {figures['same_answers']:.3f}\n{args.out}")
    return 0


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
