"""Tasks for Label Studio, drawn from a data set or a folder of pictures, and written with their labelling config."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from nav_vlm_node.errors import UserError
from nav_vlm_training.data.labelstudio import task_of
from nav_vlm_training.data.mit67 import open_indoor67, picture_names
from nav_vlm_training.data.samples import read_dataset

TASKS, CONFIG = "tasks.json", "config.xml"
T = TypeVar("T")
Task = dict[str, Any]


def tasks_of_data(path: Path, url: str, limit: int = 0, seed: int = 0) -> list[Task]:
    """One task for each question about each picture of a data set, without the answer. Raises UserError."""
    asked = {(s.image, s.question): s for s in read_dataset(path).samples}
    chosen = drawn(list(asked.values()), limit, seed)
    return [task_of(one.image, one.question, url, scene=one.scene, room=one.room) for one in chosen]


def tasks_of_pictures(path: Path, url: str, limit: int = 0, seed: int = 0) -> list[Task]:
    """One task for each picture of a folder, or of MIT Indoor 67; who annotates writes the question. UserError."""
    folder = open_indoor67(path).images.folder
    names = drawn(picture_names(folder), limit, seed)
    if not names:
        raise UserError(f"{folder} holds no pictures; give the folder that they are in")
    return [task_of(name, "", url, room=name.rpartition("/")[0]) for name in names]


def drawn(items: Sequence[T], limit: int, seed: int) -> list[T]:
    """At most `limit` of them (0: all), in their order. Raises UserError for less than 0."""
    if limit < 0:
        raise UserError(f"--limit {limit}: give 0 for all, or more")
    if not 0 < limit < len(items):
        return list(items)
    return [items[i] for i in sorted(random.Random(seed).sample(range(len(items)), limit))]


def write_tasks(out: Path, tasks: Sequence[Task], config: str) -> None:
    """tasks.json and config.xml in the folder `out`; each is there whole or not at all. Raises UserError."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, text in ((TASKS, json.dumps(list(tasks), indent=1)), (CONFIG, config)):
            draft = out / f".{name}.draft"
            try:
                draft.write_text(text, encoding="utf-8")
                draft.replace(out / name)
            finally:
                draft.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"cannot write to {out}: {error.strerror or error}; give another --out") from None
