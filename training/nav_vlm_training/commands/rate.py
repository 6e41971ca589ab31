"""`nav-vlm-train rate`: let people rate answers as right, wrong or unsafe, and see which metric means the same."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

from nav_vlm_node.errors import UserError

if TYPE_CHECKING:
    from nav_vlm_node.score import Share
    from nav_vlm_training.data.ratings import Answered

HELP = "let people rate answers, and see which metric means what they mean"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--answers", type=Path, nargs="+", required=True, metavar="F.jsonl",
        help="answers.jsonl, from the --out of evaluate, of one run or several",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="D", help="write the tasks there: tasks.json and config.xml")
    parser.add_argument("--limit", type=int, default=0, metavar="N", help="at most N answers, drawn by --seed (all)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of what is drawn and resampled (0)")
    parser.add_argument(
        "--url", default="/data/local-files/?d=", metavar="PREFIX",
        help="what comes before a picture's path where Label Studio serves it (/data/local-files/?d=)",
    )  # fmt: skip
    parser.add_argument("--ratings", type=Path, metavar="F.json", help="the rated tasks, exported as JSON")
    parser.add_argument("--data", type=Path, metavar="D", help="the data set that was answered; with --ratings")
    parser.add_argument(
        "--metrics", type=Path, nargs="+", default=[], metavar="F.jsonl",
        help="further metrics: lines with image, question, text and named numbers",
    )  # fmt: skip
    parser.add_argument("--resamples", type=int, default=1000, metavar="N", help="of the bootstrap intervals (1000)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Write tasks, or correlate. Raises UserError."""
    from nav_vlm_training.data.ratings import read_answers

    if (args.out is None) == (args.ratings is None):
        raise UserError("give --out D to make the tasks, or --ratings F.json when they have been rated")
    if args.resamples < 1:
        raise UserError(f"--resamples {args.resamples}: give 1 or more")
    if args.ratings is not None and args.data is None:
        raise UserError("--ratings needs --data, the data set that was answered")
    answers = [answer for path in args.answers for answer in read_answers(path)]
    return _correlate(args, answers) if args.ratings else _make(args, answers)


def _make(args: argparse.Namespace, answers: list[Answered]) -> int:
    from nav_vlm_training.data.ratings import CONFIG, rating_tasks
    from nav_vlm_training.data.tasks import write_tasks

    if args.limit < 0:
        raise UserError(f"--limit {args.limit}: give 0 for all, or more")
    tasks = rating_tasks(answers, args.seed, args.limit, args.url)
    write_tasks(args.out, tasks, CONFIG)
    print(f"{args.out}: {len(tasks)} different answers of {len(answers)} to rate; import both files into Label Studio")
    return 0


def _correlate(args: argparse.Namespace, answers: list[Answered]) -> int:
    from nav_vlm_training.data.ratings import correlate, own_metrics, read_metrics, read_ratings
    from nav_vlm_training.data.reporting import print_remarks
    from nav_vlm_training.data.samples import read_dataset

    rated, remarks = read_ratings(args.ratings)
    print_remarks(remarks)
    metrics = own_metrics(answers, read_dataset(args.data).samples)
    for path in args.metrics:
        metrics.update(read_metrics(path))
    found = correlate(rated, answers, metrics, args.seed, args.resamples)
    right, unsafe = sum(one.right for one in rated), sum(one.unsafe for one in rated)
    if args.json:
        figures = {name: {side: share.to_json() for side, share in of.items()} for name, of in found.items()}
        counts = {"rated": len(rated), "right": right, "unsafe": unsafe}
        print(json.dumps({**counts, "metrics": figures}, allow_nan=False))
        return 0
    print(f"{len(rated)} answers rated: {right} right, {unsafe} unsafe")
    for name, of in sorted(found.items(), key=lambda item: -_size(item[1]["spearman"])):
        print(f"{name}: " + ", ".join(f"{side} {_text(share)}" for side, share in of.items()))
    return 0


def _size(share: Share) -> float:
    return 0.0 if math.isnan(share.value) else abs(share.value)


def _text(share: Share) -> str:
    if math.isnan(share.value):
        return "not defined"
    if math.isnan(share.low):
        return f"{share.value:+.2f} (n {share.n}, too few for an interval)"
    return f"{share.value:+.2f} ({share.low:+.2f} to {share.high:+.2f}, n {share.n})"
