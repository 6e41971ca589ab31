"""Questions as plain JSON lines: {"image", "question", "answer"} and, where known, more; or whole data-set lines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from nav_vlm_node.errors import UserError
from nav_vlm_node.score_json import truth_from_json
from nav_vlm_node.view import Camera, Rig
from nav_vlm_training.data.reading import (
    Members,
    Odd,
    Pair,
    Reading,
    Remark,
    inside,
    label,
    numbered_lines,
    parse_json,
    plain,
    raw,
    read_file,
    words,
)
from nav_vlm_training.data.samples import CARD, LINES

# What others call the splits that `fit` learns from and chooses by, and `evaluate` leaves out.
_SPLITS = {
    **{name: name for name in ("train", "val", "test")},
    "training": "train", "validation": "val", "valid": "val", "dev": "val", "testing": "test",
}  # fmt: skip


def read_jsonl(paths: Iterable[Path]) -> Reading:
    """All lines of files of JSON objects: "image" (or "path"), "question" ("query"), "answer" ("text").

    "scene", "room", "split", "annotator", "earlier" are kept where they are there, and so are "truth" with "steps",
    "camera" and "rig", in the form of a data set. A line that says what one before it says is left out, and a split
    that others call "validation" is "val". Raises UserError for a file that cannot be read; what is wrong in a line is
    a remark.
    """
    pairs: list[Pair] = []
    remarks: list[Remark] = []
    first: dict[tuple[object, ...], str] = {}
    renamed: set[str] = set()
    for path in paths:
        for number, line in numbered_lines(read_file(path)):
            where = f"{path.name}:{number}"
            try:
                pair = _pair(where, _object(line))
                key = (pair.image, pair.earlier, pair.question, pair.text, pair.annotator)
                if first.setdefault(key, where) != where:
                    raise Odd(f"the same as {first[key]}")
                split = _SPLITS.get(pair.split.lower(), pair.split)
                if split != pair.split and pair.split not in renamed:
                    renamed.add(pair.split)
                    why = f"its split {pair.split!r} is called {split!r} here, in all lines"
                    remarks.append(Remark(where, why, left_out=False))
                pairs.append(replace(pair, split=split))
            except Odd as error:
                remarks.append(Remark(where, str(error), raw=raw(line)))
    return Reading(pairs, remarks)


def read_dataset_lines(folder: Path) -> Reading:
    """The lines of a data set's folder, as `nav-vlm-sim dataset` or `nav-vlm-train prepare` made it. UserError."""
    lines = folder / LINES if folder.is_dir() else folder
    if not lines.is_file():
        raise UserError(f"no data set at {folder} (no {LINES}); make one with: nav-vlm-sim dataset, or prepare")
    reading = read_jsonl([lines])
    try:
        card = json.loads((lines.parent / CARD).read_bytes())
    except (OSError, ValueError, RecursionError):
        card = {}
    about = card if isinstance(card, dict) else {}
    return Reading(reading.pairs, reading.remarks, about)


def _object(line: bytes) -> dict[str, Any]:
    data = parse_json(line)
    if not isinstance(data, Members):
        raise Odd("no JSON object")
    found: dict[str, Any] = plain(data)
    return found


def _pair(where: str, data: Mapping[str, Any]) -> Pair:
    earlier = data.get("earlier") or []
    if not isinstance(earlier, list):
        raise Odd('its "earlier" is no list of images')
    whole = data if data.get("truth") is not None or data.get("camera") is not None else None
    if whole is not None:
        _check(whole)
    return Pair(
        where=where,
        image=inside(data.get("image", data.get("path"))),
        question=words(data.get("question", data.get("query")), "question"),
        text=words(data.get("answer", data.get("text")), "answer"),
        scene=label(data.get("scene")),
        room=label(data.get("room")),
        split=label(data.get("split")),
        annotator=label(data.get("annotator")),
        earlier=tuple(inside(image) for image in earlier),
        line=whole,
    )


def _check(data: Mapping[str, Any]) -> None:
    """Raises Odd where the truth, the camera or the rig of a line is none."""
    try:
        if data.get("truth") is not None:
            truth_from_json(data)
        if data.get("camera") is not None:
            Camera(**{**data["camera"], "d": tuple(data["camera"].get("d", ()))})
        Rig(**(data.get("rig") or {}))
    except UserError as error:
        raise Odd(str(error)) from None
    except (ValueError, TypeError, AttributeError, KeyError, OverflowError) as error:
        raise Odd(f"its truth, camera or rig is not as in a data set ({raw(str(error))})") from None
