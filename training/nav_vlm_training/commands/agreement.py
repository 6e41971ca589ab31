"""`nav-vlm-train agreement`: how far the people agree who answered or rated in Label Studio."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

from nav_vlm_node.errors import UserError

HELP = "how far the people agree who answered or rated in Label Studio"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--labels", type=Path, nargs="+", required=True, metavar="F.json", help="JSON exports")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the intervals' resampling (0)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Compare, print. Raises UserError."""
    from nav_vlm_training.data.agreement import agreement, tables_of
    from nav_vlm_training.data.labelstudio import read_annotations
    from nav_vlm_training.data.reporting import print_remarks

    annotations, remarks = [], []
    for path in args.labels:
        found, odd = read_annotations(path)
        annotations += found
        remarks += odd
    print_remarks(remarks)
    tables = tables_of(annotations)
    if not tables:
        raise UserError(f"{args.labels[0]} holds no choices and no answers; export the project when it is done")
    compared = {name: agreement(table, args.seed) for name, table in tables.items()}
    if args.json:
        print(json.dumps({name: one.to_json() for name, one in compared.items()}, allow_nan=False))
        return 0
    for name, one in compared.items():
        same = "" if math.isnan(one.same.value) else f", the same in {100 * one.same.value:.0f} % of pairs"
        print(f"{name}: {one.units} judged by two or more of {len(one.people)}{same}; {one.verdict()}")
        for (first, second), (kappa, n) in one.kappas.items():
            print(f"  {first} and {second}: kappa {'not defined' if math.isnan(kappa) else f'{kappa:.2f}'} over {n}")
    return 0
