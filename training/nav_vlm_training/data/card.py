"""The card of a prepared data set: where it comes from, what is in it, how much of each, and the checks it passed."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nav_vlm_node import guard
from nav_vlm_node.language import parse
from nav_vlm_node.score_json import truth_from_json
from nav_vlm_training.data import balance
from nav_vlm_training.data.reading import Remark
from nav_vlm_training.data.samples import LINES

SPLITS = ("train", "val", "test")  # come first, in this order
Lines = Sequence[Mapping[str, Any]]


def describe(folder: Path, lines: Lines, about: Mapping[str, Any], remarks: Sequence[Remark]) -> dict[str, Any]:
    """The card of the data set whose questions and pictures are in `folder`. about: its head. Raises OSError."""
    by_split: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for line in sorted(lines, key=lambda line: SPLITS.index(line["split"]) if line["split"] in SPLITS else len(SPLITS)):
        by_split[line["split"]].append(line)
    truths = [truth_from_json(line) for line in lines]
    warning = balance.unbalanced(truths)
    return {
        **about,
        "counts": {**counts(lines), "splits": {split: counts(part) for split, part in by_split.items()}},
        "shares": {**shares(lines), "splits": {split: shares(part) for split, part in by_split.items()}},
        "balance": {"warning": warning, "sampling_weights": _weights(lines)},
        "left_out": sum(remark.left_out for remark in remarks),
        "remarks": len(remarks),
        "lines_sha256": hashlib.sha256((folder / LINES).read_bytes()).hexdigest(),
        "data_sha256": digest(folder, lines),
    }


def counts(lines: Lines) -> dict[str, int]:
    """How many there are. not_judged: questions whose answer says nothing that can be scored.

    guard_objects: answers that the node would keep back, were a model to give them word for word.
    """
    truths = [truth_from_json(line) for line in lines]
    return {
        "scenes": len({line["scene"] for line in lines}),
        "images": len({line["image"] for line in lines}),
        "questions": len(lines),
        "annotators": len({line["annotator"] for line in lines if line.get("annotator")}),
        "visible_targets": sum(truth.visible for truth in truths),
        "not_judged": sum(truth.kind == "describe" and truth.origin != "geometry" for truth in truths),
        "guard_objects": sum(objected(line["text"]) for line in lines),
    }


def shares(lines: Lines) -> dict[str, dict[str, float]]:
    """What part of the lines is about what. direction: of those that have one."""
    truths = [truth_from_json(line) for line in lines]
    names = [balance.direction_of(truth) for truth in truths]
    return {
        "kind": balance.shares(truth.kind for truth in truths),
        "direction": balance.shares(name for name in names if name in balance.DIRECTIONS),
        "answer": balance.shares(names),
        "room": balance.shares(str(line.get("room", "")) for line in lines),
        "origin": balance.shares(truth.origin for truth in truths),
    }


def objected(text: str) -> bool:
    """Whether the node's guard would keep `text` back."""
    parsed = parse(text)
    return guard.objection(text, parsed.steps, parsed.unparsed, 1.0, guard.Limits()) is not None


def digest(folder: Path, lines: Lines) -> str:
    """SHA-256 of questions.jsonl and of every picture, in the order of the lines. Raises OSError."""
    total = hashlib.sha256((folder / LINES).read_bytes())
    for image in dict.fromkeys(name for line in lines for name in images_of(line)):
        total.update(image.encode() + b"\0" + hashlib.sha256((folder / image).read_bytes()).digest())
    return total.hexdigest()


def images_of(line: Mapping[str, Any]) -> tuple[str, ...]:
    """A line's picture, then those of the seconds before it."""
    return (line["image"], *line.get("earlier", ()))


def _weights(lines: Lines) -> dict[str, float]:
    """Of balanced sampling, by what the answer says, within the split that is learnt from (or all of them)."""
    learnt = [line for line in lines if line["split"] == "train"] or list(lines)
    truths = [truth_from_json(line) for line in learnt]
    found = zip(map(balance.direction_of, truths), balance.sampling_weights(truths), strict=True)
    return {name: round(weight, 4) for name, weight in sorted(dict(found).items())}
