"""`nav-vlm-train embedded`: make the model that comes with nav_vlm, from nothing, in stages that can be interrupted."""

from __future__ import annotations

import argparse
from pathlib import Path

from nav_vlm_node import results

HELP = "make the model that comes with nav_vlm, from nothing"
STAGES = ("frames", "perception", "base", "eyes", "adapter")

# name of MakeConfig -> what it is; a test compares the defaults named here with the class
OPTIONS = {
    "first_world": "the number of the first of them (0)",
    "worlds": "sets of surface patterns to render for training, 144 frames each (1300)",
    "held_out_worlds": "the same, for the figures on the way (8)",
    "samples": "frames that perception sees in all (1000000)",
    "language_worlds": "how many of the worlds only the language stages use (208)",
    "passes": "each of those as it is and in this many forms less one (2)",
    "base_steps": "updates of the base's language model (2200)",
    "headings": "pictures to other sides at every place of --walks (0)",
    "eyes_samples": "frames that the adapter's own LoRA on the vision side sees; 0 for none of its own (0)",
    "adapter_steps": "updates of the adapter (900)",
    "rank": "of the adapter, LoRA's r (16)",
    "alpha": "of the adapter, LoRA's alpha (32)",
    "seed": "of everything that is drawn (0)",
}

RATES = {
    "rate": "perception's learning rate at its peak (0.002)",
    "base_rate": "the base's (0.0006)",
    "eyes_rate": "that of the adapter's vision side (0.001)",
    "adapter_rate": "the adapter's (0.0008)",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--run", type=Path, required=True, metavar="DIR",
        help="everything is kept there; the same command, or --run alone, goes on with it",
    )  # fmt: skip
    parser.add_argument("--stage", choices=(*STAGES, "all"), default="all", help="only this one (all that are missing)")
    parser.add_argument("--again", action="store_true", help="make the base or the adapter again although it is there")
    parser.add_argument("--start", metavar="DIR", help="a model to take the vision side's first weights from (none)")
    parser.add_argument("--base", metavar="DIR", help="a model to adapt, in place of making perception and base (none)")
    parser.add_argument("--adapter", metavar="DIR", help="one of that base to train on, its eyes too (none)")
    parser.add_argument(
        "--walks", metavar="DIR",
        help="the --out of nav-vlm-sim evaluate: what was seen there is learned from too (none)",
    )  # fmt: skip
    for name, text in RATES.items():
        parser.add_argument("--" + name.replace("_", "-"), type=float, metavar="X", help=text)
    parser.add_argument("--device", metavar="NAME", help="cpu, cuda, cuda:N (cpu)")
    for name, text in OPTIONS.items():
        parser.add_argument("--" + name.replace("_", "-"), type=int, metavar="N", help=text)


def run(args: argparse.Namespace) -> int:
    """Make what is missing. Raises UserError; KeyboardInterrupt after what was reached has been kept."""
    from nav_vlm_training.embedded.run import make

    names = (*OPTIONS, *RATES, "start", "base", "adapter", "walks", "device")
    given = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    command = results.command_line("nav-vlm-train", args.argv)
    make(args.run, given, STAGES if args.stage == "all" else (args.stage,), command=command, again=args.again)
    return 0
