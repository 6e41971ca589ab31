"""`nav-vlm-train label`: tasks for Label Studio, in which people answer questions about pictures."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "make Label Studio tasks in which people answer questions about pictures"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--data", type=Path, metavar="D", help="a data set: its questions, without their answers")
    what.add_argument("--pictures", type=Path, metavar="F", help="a folder of pictures: the questions too are written")
    parser.add_argument("--out", type=Path, required=True, metavar="D", help="tasks.json and config.xml go there")
    parser.add_argument("--limit", type=int, default=0, metavar="N", help="at most N tasks, drawn by --seed (all)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of what is drawn (0)")
    parser.add_argument(
        "--url", default="/data/local-files/?d=", metavar="PREFIX",
        help="what comes before a picture's path where Label Studio serves it (/data/local-files/?d=)",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Write the two files. Raises UserError."""
    from nav_vlm_training.data.labelstudio import ANSWER_CONFIG
    from nav_vlm_training.data.tasks import tasks_of_data, tasks_of_pictures, write_tasks

    if args.data:
        tasks = tasks_of_data(args.data, args.url, args.limit, args.seed)
    else:
        tasks = tasks_of_pictures(args.pictures, args.url, args.limit, args.seed)
    write_tasks(args.out, tasks, ANSWER_CONFIG)
    print(
        f"{args.out}: {len(tasks)} tasks; in Label Studio make a project with config.xml as its labelling interface, "
        "import tasks.json, and export as JSON"
    )
    return 0
