"""`nav-vlm-train evaluate`: how right a model's answers are on a data set, beside baselines."""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

from nav_vlm_node import results
from nav_vlm_node.errors import UserError
from nav_vlm_training.evaluation.evaluate import BASELINES, EvaluationPlan, evaluate
from nav_vlm_training.evaluation.systems import KNOWN

HELP = "how right a model's answers are on a data set, beside baselines"
NO_BASELINES = "none"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--data", type=Path, required=True, metavar="D", help="a data set of `nav-vlm-sim dataset`")
    parser.add_argument("--model", type=Path, metavar="D", help="model directory (the one that comes with nav_vlm)")
    parser.add_argument(
        "--adapter", default="default", metavar="A", help='name, directory, or "" for the base (the model\'s default)'
    )
    parser.add_argument(
        "--split",
        default="",
        metavar="S,...",
        help='which splits, or "all" (all but train and val, where there are others)',
    )
    parser.add_argument("--limit", type=int, default=0, metavar="N", help="at most N questions, drawn by --seed (all)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of what is drawn and shuffled (0)")
    parser.add_argument(
        "--shots", type=int, default=0, metavar="N", help="solved questions in the prompt, from the train split (0)"
    )
    parser.add_argument(
        "--baselines",
        default=",".join(BASELINES),
        metavar="B,...",
        help=f"of {','.join(KNOWN)}; or {NO_BASELINES} ({','.join(BASELINES)})",
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="keep answers and reports there; the same command goes on with them"
    )
    parser.add_argument("--results", type=Path, metavar="F.json", help="write the figures there too (docs/results)")
    parser.add_argument(
        "--text", action="store_true", help="compare the texts too: BERTScore, enhanced in two forms, BLEU, chrF"
    )
    parser.add_argument("--encoder", type=Path, metavar="D", help="text encoder for --text (the small one)")
    parser.add_argument("--batch", type=int, default=64, metavar="N", help="questions at a time (64)")
    parser.add_argument("--max-new-tokens", type=int, default=96, metavar="N", help="longest answer (96)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N (auto)")
    parser.add_argument("--dtype", default="auto", help="auto, float32, bfloat16, float16 (auto)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Evaluate, report. Raises UserError."""
    from nav_vlm_training.evaluation.report import write_report

    if args.out is not None and importlib.util.find_spec("matplotlib") is None:
        raise UserError("matplotlib is missing, which the report is drawn with; run: pip install matplotlib")
    plan = EvaluationPlan(
        data=args.data, model=args.model, adapter=args.adapter, splits=_words(args.split), limit=args.limit,
        seed=args.seed, shots=args.shots, baselines=_baselines(args.baselines), out=args.out, batch=args.batch,
        text=args.text or args.encoder is not None, encoder=args.encoder,
        max_new_tokens=args.max_new_tokens, device=args.device, dtype=args.dtype,
    )  # fmt: skip
    evaluation = evaluate(plan)
    record = results.record(results.command_line("nav-vlm-train", args.argv), seeds={"evaluate": args.seed})
    evaluation.figures.update(record)
    try:
        if args.out is not None:
            write_report(evaluation, args.out)
        if args.results is not None:
            results.write(args.results, evaluation.figures)
    except OSError as error:
        where = error.filename or args.out or args.results
        raise UserError(
            f"cannot write {where}: {error.strerror or error}; the answers are kept, go on elsewhere"
        ) from None
    _print(evaluation.figures, as_json=args.json)
    if args.out is not None and not args.json:
        print(f"\n{args.out / 'report.html'}")
    return 0


def _print(figures: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        json.dump(figures, sys.stdout, allow_nan=False)
        print()
        return
    from nav_vlm_training.evaluation.report import DIFFERENCE_HEADS, difference_rows, system_rows

    heads, rows = system_rows(figures)
    _columns([heads, *rows])
    if figures["differences"]:
        print()
        _columns([DIFFERENCE_HEADS, *difference_rows(figures)])


def _columns(rows: list[list[str]]) -> None:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _baselines(text: str) -> tuple[str, ...]:
    chosen = () if text == NO_BASELINES else _words(text)
    for name in chosen:
        if name not in KNOWN:
            raise UserError(f"no baseline {name!r}: give some of {', '.join(KNOWN)}, or {NO_BASELINES}")
    return chosen
