"""`nav-vlm-train fit`: train an adapter (or a model) on a data set; the same command goes on where it was stopped."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from nav_vlm_node import results

HELP = "train an adapter on a data set"
NO_CACHE = "none"

# name of FitConfig -> (type, what it is); defaults are those of --settings
OPTIONS: dict[str, tuple[type, str]] = {
    "variant": (str, "what is trained: lm_only, joint, qformer, ... (lm_only)"),
    "rank": (int, "LoRA's r (the variant's)"),
    "alpha": (int, "LoRA's alpha (the variant's)"),
    "dropout": (float, "of LoRA (the variant's)"),
    "seed": (int, "of everything that is drawn"),
    "optimizer": (str, "adam or adamw"),
    "rate": (float, "learning rate at its peak"),
    "weight_decay": (float, "of the optimiser"),
    "schedule": (str, "of the rate after warm-up: cosine or constant"),
    "warmup": (int, "updates until the rate is at its peak"),
    "clip": (float, "largest norm of the gradient, 0 for no limit"),
    "batch": (int, "questions per update, over all processes"),
    "micro_batch": (int, "questions that go through the model at once"),
    "epochs": (int, "passes over the data, at most"),
    "samples": (int, "questions to learn from, drawn by --seed, 0 for all"),
    "precision": (str, "fp32 or bf16"),
    "metric": (str, "chooses the weights: direction_accuracy, same_steps, loss, or auto"),
    "evaluate_every": (float, "epochs between two evaluations"),
    "patience": (int, "evaluations without a better one until the run ends, 0 for never"),
    "val_questions": (int, "questions per evaluation, drawn by --seed"),
    "max_new_tokens": (int, "longest answer in evaluations"),
    "beams": (int, "of the search for answers in evaluations"),
    "no_repeat_ngram": (int, "no run of so many tokens twice in an answer, 0 for no limit"),
    "light": (int, "changes of light per picture besides the plain one"),
    "rephrase": (int, "other wordings per answer besides its own"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--data", type=Path, required=True, metavar="D", help="a data set with the splits train and val"
    )
    parser.add_argument(
        "--run", type=Path, required=True, metavar="DIR",
        help="everything is kept there; the same command goes on with it",
    )  # fmt: skip
    parser.add_argument("--model", type=Path, metavar="D", help="the base (the model that comes with nav_vlm)")
    parser.add_argument(
        "--settings", default="usual", metavar="S", help="where the others come from: usual, paper, paper_repository"
    )
    for name, (kind, text) in OPTIONS.items():
        letter = {int: "N", float: "X", str: "S"}[kind]
        parser.add_argument("--" + name.replace("_", "-"), type=kind, metavar=letter, help=text)
    parser.add_argument(
        "--mirror", action="store_true", default=None,
        help="half of the passes see the mirrored scene, left and right swapped in question and answer",
    )  # fmt: skip
    parser.add_argument(
        "--balanced",
        action="store_true",
        default=None,
        help="draw questions so that every direction comes equally often",
    )
    parser.add_argument("--rephraser", type=Path, metavar="D", help="a seq2seq model to rephrase with (a grammar)")
    parser.add_argument(
        "--cache", metavar="DIR", help=f"keep what the vision model sees there, or {NO_CACHE} (in the run's folder)"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N (auto)")
    parser.add_argument("--save-every", type=int, default=100, metavar="N", help="updates between checkpoints (100)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Train. Raises UserError; KeyboardInterrupt after what was reached has been kept."""
    from nav_vlm_node.errors import UserError
    from nav_vlm_training.fit.config import resolve
    from nav_vlm_training.fit.loop import fit
    from nav_vlm_training.fit.setup import FitPlan

    if args.save_every < 1:
        raise UserError(f"--save-every {args.save_every}: give a number from 1 up")
    given = {name: getattr(args, name) for name in (*OPTIONS, "mirror", "balanced") if getattr(args, name) is not None}
    fitted = fit(
        FitPlan(
            data=args.data, run=args.run, config=resolve(args.settings, given), model=args.model,
            cached=args.cache != NO_CACHE, cache=Path(args.cache) if args.cache not in (None, NO_CACHE) else None,
            rephraser=args.rephraser, device=args.device, command=results.command_line("nav-vlm-train", args.argv),
            save_every=args.save_every,
        )
    )  # fmt: skip
    if os.environ.get("RANK", "0") != "0":  # of several processes the first one tells
        return 0
    if args.json:
        about = {"run": str(args.run), "best_step": fitted.step, "updates": fitted.updates}
        json.dump({**about, **fitted.figures}, sys.stdout, allow_nan=False)
        print()
    else:
        print(args.run)
    return 0
