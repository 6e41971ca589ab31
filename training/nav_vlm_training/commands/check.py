"""`nav-vlm-train check`: whether a data set's splits leak, or what is wrong with a folder of pictures."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from nav_vlm_node.errors import UserError

HELP = "prove that no split of a data set leaks, or look through a folder of pictures"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--data", type=Path, metavar="D", help="a data set")
    what.add_argument("--pictures", type=Path, metavar="F", help="a folder of pictures, such as MIT Indoor 67")
    parser.add_argument("--by", choices=("scene", "image"), default="scene", help="what must not be in two (scene)")


def run(args: argparse.Namespace) -> int:
    """Check, report. Raises UserError where something leaks."""
    return _check_data(args.data, args.by) if args.data else _check_pictures(args.pictures)


def _check_data(path: Path, by: str) -> int:
    from nav_vlm_training.data.check import check

    found = check(path, by_scene=by == "scene")
    if found.leaks:
        raise UserError(
            f"{found.leaks[0]} ({len(found.leaks)} such leaks); divide anew: nav-vlm-train prepare --from sim"
        )
    splits = ", ".join(found.data.splits)
    print(
        f"{path}: nothing is in two splits, by {by}, path or pixels: {len(found.data.samples)} questions about "
        f"{found.pictures} pictures ({found.contents} different) in {splits}"
    )
    if found.warning:
        print(found.warning)
    return 0


def _check_pictures(path: Path) -> int:
    from tqdm import tqdm

    from nav_vlm_training.data.mit67 import open_indoor67, picture_names, survey

    indoor = open_indoor67(path)
    names = picture_names(indoor.images.folder)
    if not names:
        raise UserError(f"{indoor.images.folder} holds no pictures; give the folder that they are in, or the one above")
    often = 0.2 if sys.stderr.isatty() else 10.0  # seconds between two lines of a log
    remarks = [*indoor.remarks]
    for remark in tqdm(survey(indoor.images.folder, names), total=len(names), unit="picture", mininterval=often):
        remarks += [remark] if remark else []
    for remark in remarks:
        print(remark)
    lists = "".join(f", {len(found)} in the {split} list" for split, found in indoor.lists.items())
    left_out = sum(remark.left_out for remark in remarks)
    print(f"{path}: {len(names)} pictures{lists}; {len(remarks)} remarks, {left_out} of them on what cannot be used")
    return 0
