"""Where questions can come from: what `--from` chooses among."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nav_vlm_node.errors import UserError
from nav_vlm_training.data import paper
from nav_vlm_training.data.jsonl import read_dataset_lines, read_jsonl
from nav_vlm_training.data.labelstudio import read_labelstudio
from nav_vlm_training.data.reading import Reading

NOT_STATED = "not stated; say it with --licence"


@dataclass(frozen=True)
class Source:
    """what: in a few words, for the card. licence: where the source itself states none. read: (paths, agreed)."""

    what: str
    licence: str
    read: Callable[[Sequence[Path], bool], Reading]


def _read_set(paths: Sequence[Path], agreed: bool) -> Reading:
    if len(paths) != 1:
        raise UserError(f"{len(paths)} data sets after --data; give one")
    return read_dataset_lines(paths[0])


SOURCES: dict[str, Source] = {
    "sim": Source("a data set of nav-vlm-sim or of prepare", NOT_STATED, _read_set),
    "paper": Source(
        "question files of arXiv 2509.07488 (path;Q:...;A:...)", paper.LICENCE, lambda paths, _: paper.read_text(paths)
    ),
    "json": Source(
        "question file of arXiv 2509.07488 (id: path, query, answer)",
        paper.LICENCE,
        lambda paths, _: paper.read_json(paths),
    ),
    "jsonl": Source("JSON lines (image, question, answer)", NOT_STATED, lambda paths, _: read_jsonl(paths)),
    "labelstudio": Source(
        "JSON export of a Label Studio project",
        NOT_STATED,
        lambda paths, agreed: read_labelstudio(paths, agreed=agreed),
    ),
}
