"""From pairs to the lines of a data set: pictures taken, truth derived where there is none, cameras assumed."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from nav_vlm_node.score_json import truth_from_json, truth_to_json
from nav_vlm_node.view import Camera, Rig
from nav_vlm_training.data.answers import truth_of
from nav_vlm_training.data.draft import Draft
from nav_vlm_training.data.pictures import Facts
from nav_vlm_training.data.reading import Odd, Pair, Remark

Line = dict[str, Any]
Taken = Mapping[str, tuple[Facts, str]]  # picture as the source names it -> what it is, and its place in the data set


def take_all(draft: Draft, folder: Path, names: Iterable[str], *, quiet: bool = False) -> tuple[Taken, list[Remark]]:
    """Takes the pictures `names` of `folder`, with a progress bar; remarks on those that are broken or were converted.

    Raises OSError for a disk that does not take them.
    """
    taken: dict[str, tuple[Facts, str]] = {}
    remarks: list[Remark] = []
    often = 0.2 if sys.stderr.isatty() else 10.0  # seconds between two lines of a log
    for name in tqdm(list(names), unit="picture", mininterval=often, disable=quiet):
        try:
            facts, place = draft.take(folder / name, name)
        except Odd as error:
            remarks.append(Remark(name, str(error)))
            continue
        taken[name] = facts, place
        if facts.converted:
            remarks.append(Remark(name, f"is not plain RGB ({facts.converted}); converted", left_out=False))
    return taken, remarks


def lines_of(pairs: Sequence[Pair], taken: Taken, hfov: float) -> tuple[list[tuple[Pair, Line]], list[Remark]]:
    """The pairs whose pictures were taken, with their lines; remarks on the others, and on what cannot be judged.

    hfov: degrees, of cameras that are not known. A line's split is still its source's.
    """
    found: list[tuple[Pair, Line]] = []
    remarks: list[Remark] = []
    for pair in pairs:
        try:
            broken = [name for name in images_of(pair) if name not in taken]
            if broken:
                raise Odd(f"its picture {broken[0]} cannot be used")
            line, why = _line(pair, taken, hfov)
        except Odd as error:
            remarks.append(Remark(pair.where, str(error), raw=f"{pair.question} {pair.text}"))
            continue
        found.append((pair, line))
        if why:
            remarks.append(Remark(pair.where, f"not judged: {why}", left_out=False, raw=f"{pair.question} {pair.text}"))
    return found, remarks


def images_of(pair: Pair) -> tuple[str, ...]:
    """A pair's picture, then those of the seconds before it."""
    return (pair.image, *pair.earlier)


def _line(pair: Pair, taken: Taken, hfov: float) -> tuple[Line, str]:
    """A line of questions.jsonl, and why it cannot be judged. Raises Odd where picture and camera differ."""
    facts, image = taken[pair.image]
    given = pair.line or {}
    camera = given.get("camera") or asdict(Camera.from_fov(facts.width, facts.height, math.radians(hfov)))
    if (camera["width"], camera["height"]) != (facts.width, facts.height):
        raise Odd(f"its camera is {camera['width']}x{camera['height']} and its picture {facts.width}x{facts.height}")
    truth, why = (truth_from_json(given), "") if given.get("truth") else truth_of(pair.question, pair.text)
    line: Line = {
        "image": image, "scene": pair.scene or image, "split": pair.split, "room": pair.room,
        "texture": str(given.get("texture") or ""), "question": pair.question,
        "phrasing": str(given.get("phrasing") or ""), "text": pair.text, **truth_to_json(truth),
        "camera": camera, "rig": given.get("rig") or asdict(Rig()), "source": pair.where,
    }  # fmt: skip
    if pair.annotator:
        line["annotator"] = pair.annotator
    if pair.earlier:
        line["earlier"] = [taken[name][1] for name in pair.earlier]
    return line, why
