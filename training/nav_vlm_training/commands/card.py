"""`nav-vlm-train card`: write the embedded model's card from what was recorded and measured."""

from __future__ import annotations

import argparse
from pathlib import Path

from nav_vlm_node import paths

HELP = "write the embedded model's card from what was recorded and measured"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--model", type=Path, metavar="D", help="model directory (the one that comes with nav_vlm)")
    parser.add_argument(
        "--results", type=Path, required=True, metavar="F.json",
        help="figures of this model, as `--results` of evaluate wrote them",
    )  # fmt: skip
    parser.add_argument(
        "--run", type=Path, nargs="+", default=(), metavar="DIR",
        help="the runs of `nav-vlm-train embedded` that made it, the latest last; a JSON file where the folder is gone",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Write README.md. Raises UserError."""
    from nav_vlm_training.embedded.card import write_card

    path = write_card(args.model or paths.embedded_model(), args.results, args.run)
    print(path)
    return 0
