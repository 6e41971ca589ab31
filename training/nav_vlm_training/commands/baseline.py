"""`nav-vlm-train baseline`: another family's model, tuned with the same budget on the same data, and judged as ours."""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from pathlib import Path

from nav_vlm_node import results
from nav_vlm_node.errors import UserError
from nav_vlm_training.commands.fit import OPTIONS as FIT_OPTIONS

HELP = "tune another vision-language model on the same data with the same budget, and judge it"
NOTHING = "none"
BESIDE = ("base", "shuffled")
# of FitConfig, as in `fit`; what is not here cannot be: the weights are chosen by the loss, and all updates are made
OPTIONS = (
    "dropout", "seed", "optimizer", "rate", "weight_decay", "schedule", "warmup", "clip", "batch", "micro_batch",
    "epochs", "samples", "precision", "evaluate_every", "val_questions", "max_new_tokens",
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--model", type=Path, required=True, metavar="D",
        help="a model that transformers' AutoModelForImageTextToText loads, in a directory with its processor",
    )  # fmt: skip
    parser.add_argument(
        "--data", type=Path, required=True, metavar="D", help="a data set with the splits train, val and others"
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR",
        help="everything is kept there; the same command goes on with it",
    )  # fmt: skip
    parser.add_argument(
        "--base", type=Path, metavar="D", help="the BLIP-2 to compare with (the model that comes with nav_vlm)"
    )
    parser.add_argument(
        "--parameters", type=int, default=0, metavar="N",
        help="to train, as nearly as a rank allows (as many as lm_only trains on the base)",
    )  # fmt: skip
    for name in OPTIONS:
        kind, text = FIT_OPTIONS[name]
        letter = {int: "N", float: "X", str: "S"}[kind]
        parser.add_argument("--" + name.replace("_", "-"), type=kind, metavar=letter, help=text)
    parser.add_argument(
        "--split", default="", metavar="S,...", help='which splits to judge by, or "all" (all but train and val)'
    )
    parser.add_argument("--limit", type=int, default=0, metavar="N", help="at most N questions to judge by (all)")
    parser.add_argument(
        "--beside", default=",".join(BESIDE), metavar="B,...",
        help=f"the model before tuning, the tuned one before other pictures, or {NOTHING} ({','.join(BESIDE)})",
    )  # fmt: skip
    parser.add_argument(
        "--text", action="store_true", help="compare the texts too: BERTScore, enhanced in two forms, BLEU, chrF"
    )
    parser.add_argument("--encoder", type=Path, metavar="D", help="text encoder for --text (the small one)")
    parser.add_argument("--answers", type=int, default=64, metavar="N", help="questions answered at a time (64)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N (auto)")
    parser.add_argument("--save-every", type=int, default=50, metavar="N", help="updates between checkpoints (50)")
    parser.add_argument("--results", type=Path, metavar="F.json", help="write the figures there too (docs/results)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Tune, judge, report. Raises UserError; KeyboardInterrupt after what was reached has been kept."""
    if importlib.util.find_spec("matplotlib") is None:
        raise UserError("matplotlib is missing, which the report is drawn with; run: pip install matplotlib")
    from nav_vlm_training.evaluation.report import system_rows, table, write_report
    from nav_vlm_training.fit.config import resolve
    from nav_vlm_training.sweep.outcomes import FILE, outcomes_of, write_outcomes
    from nav_vlm_training.vlms.baseline import BaselinePlan, compare_other

    beside = () if args.beside == NOTHING else tuple(word.strip() for word in args.beside.split(",") if word.strip())
    for name in beside:
        if name not in BESIDE:
            raise UserError(f"--beside {name}: give some of {', '.join(BESIDE)}, or {NOTHING}")
    given = {name: getattr(args, name) for name in OPTIONS if getattr(args, name) is not None}
    command = results.command_line("nav-vlm-train", args.argv)
    evaluation = compare_other(
        BaselinePlan(
            model=args.model, data=args.data, out=args.out, config=resolve("usual", given), base=args.base,
            parameters=args.parameters, splits=tuple(w.strip() for w in args.split.split(",") if w.strip()),
            limit=args.limit, beside=beside, text=args.text or args.encoder is not None, encoder=args.encoder,
            batch=args.answers, device=args.device, save_every=args.save_every, command=command,
        )
    )  # fmt: skip
    evaluation.figures.update(results.record(command, seeds={"fit": given.get("seed", 0)}))
    try:
        write_report(evaluation, args.out)
        write_outcomes(args.out / FILE, outcomes_of(evaluation.judged))
        if args.results is not None:
            results.write(args.results, evaluation.figures)
    except OSError as error:
        where = error.filename or args.results or args.out
        raise UserError(f"cannot write {where}: {error.strerror or error}; what was answered is kept") from None
    if args.json:
        json.dump(evaluation.figures, sys.stdout, allow_nan=False)
        print()
    else:
        print(table(*system_rows(evaluation.figures)))
        print(f"\n{args.out / 'report.html'}")
    return 0
