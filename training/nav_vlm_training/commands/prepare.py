"""`nav-vlm-train prepare`: questions and pictures from elsewhere into a data set, divided without a leak."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from nav_vlm_node import results
from nav_vlm_node.errors import UserError

HELP = "make a data set from other people's questions and pictures"
SOURCES = ("sim", "paper", "json", "jsonl", "labelstudio")  # a test compares with nav_vlm_training.data.sources
LISTS = "lists"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--from", dest="source", choices=SOURCES, required=True,
        help="sim: a data set that is there; paper: path;Q:...;A:... lines; json: id -> path, query, answer; "
        "jsonl: image, question, answer; labelstudio: a JSON export",
    )  # fmt: skip
    parser.add_argument(
        "--data", type=Path, nargs="+", required=True, metavar="F", help="files of questions, or their folder"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="D", help="a folder that is not there yet")
    parser.add_argument(
        "--pictures", type=Path, metavar="F", help="folder of the pictures, such as MIT Indoor 67 (beside the data)"
    )
    parser.add_argument(
        "--splits", default="", metavar="S=SHARE,...",
        help="shares of the splits, or lists: by TrainImages.txt and TestImages.txt (the source's own, else "
        "train=0.8,val=0.1,test=0.1)",
    )  # fmt: skip
    parser.add_argument(
        "--by", default="scene", metavar="UNIT", help="what is never in two splits: scene, image, room (scene)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of what is drawn (0)")
    parser.add_argument("--limit", type=int, default=0, metavar="N", help="at most N questions (all)")
    parser.add_argument(
        "--hfov", type=float, default=60.0, metavar="DEGREES", help="how wide a camera that is not known is taken (60)"
    )
    parser.add_argument("--agreed", action="store_true", help="without questions that annotators answer differently")
    parser.add_argument("--link", action="store_true", help="hard links to the pictures instead of copies")
    parser.add_argument("--licence", default="", metavar="TEXT", help="of the data, for its card (the source's)")
    parser.add_argument("--json", action="store_true", help="print the card as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Prepare, report. Raises UserError."""
    from nav_vlm_training.data.prepare import REMARKS, PreparePlan, prepare
    from nav_vlm_training.data.reporting import print_remarks

    lists = args.splits == LISTS
    plan = PreparePlan(
        source=args.source, data=tuple(args.data), out=args.out, pictures=args.pictures, lists=lists, by=args.by,
        shares={} if lists else _shares(args.splits), seed=args.seed, limit=args.limit, hfov=args.hfov,
        agreed=args.agreed, link=args.link, licence=args.licence,
    )  # fmt: skip
    prepared = prepare(plan, results.command_line("nav-vlm-train", args.argv))
    print_remarks(prepared.remarks, str(args.out / REMARKS))
    card = prepared.card
    if prepared.there_already:
        print(f"{args.out} is there already and stays as it was made; delete it to make it anew", file=sys.stderr)
    if args.json:
        print(json.dumps(card, allow_nan=False))
        return 0
    counts = card["counts"]
    parts = ", ".join(f"{split} {part['questions']}" for split, part in counts["splits"].items())
    print(
        f"{args.out}: {counts['questions']} questions about {counts['images']} pictures ({parts}); "
        f"{card['left_out']} left out; nothing is in two splits, by {args.by}, path or pixels"
    )
    print(f"directions: {_percent(card['shares']['direction'])}; licence: {card['licence']}")
    if card["balance"]["warning"]:
        print(card["balance"]["warning"])
    return 0


def _percent(shares: dict[str, float]) -> str:
    return ", ".join(f"{name} {100 * share:.0f} %" for name, share in shares.items()) or "none"


def _shares(text: str) -> dict[str, float]:
    if not text:
        return {}
    found: dict[str, float] = {}
    for part in text.split(","):
        name, _, share = part.partition("=")
        try:
            found[name.strip()] = float(share)
        except ValueError:
            raise UserError(f"--splits {text}: give lists, or shares as in train=0.8,val=0.1,test=0.1") from None
    return found
