"""Every question answered from its image, by one model after the other; what is done is kept, so that it can go on."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from nav_vlm_node.errors import UserError
from nav_vlm_node.frames import Frame, decode_compressed
from nav_vlm_node.guide import Guide, GuideOptions, refusal
from nav_vlm_node.instruction import Instruction, Status
from nav_vlm_node.replay.bags import Bag
from nav_vlm_node.replay.contents import COMPRESSED, Contents
from nav_vlm_node.replay.looks import Look
from nav_vlm_node.replay.messages import Decoder, header_stamp
from nav_vlm_node.replay.questions import Question
from nav_vlm_node.replay.told import instruction_from_json, instruction_to_json
from nav_vlm_node.ros.camera_info import camera_from_ros
from nav_vlm_node.ros.images import image_from_ros
from nav_vlm_node.vlm.protocol import Engine


@dataclass(frozen=True)
class Item:
    """A question and what is looked at for it."""

    question: Question
    look: Look


class Frames:
    """The images of a bag, each read again and decoded when it is asked for; the last one is kept."""

    def __init__(self, bag: Bag, decoder: Decoder, contents: Contents) -> None:
        self._bag, self._decoder, self._contents = bag, decoder, contents
        self._last: tuple[int, int, Frame] | None = None

    def frame(self, position: int, time: int) -> Frame:
        """The image at `position` as the node has it at `time` [ns]. Raises UserError for a damaged one."""
        if self._last is not None and self._last[:2] == (position, time):
            return self._last[2]
        contents = self._contents
        topic = contents.image_topic
        assert topic is not None
        arrived = contents.times[position]
        found = self._bag.between(topic.name, arrived, arrived + 1)
        raw = next((raw for raw in found if header_stamp(raw.data) == contents.stamps[position]), None)
        if raw is None:
            raise UserError("the image cannot be read from the bag again; is somebody writing it?")
        message = self._decoder.decode(raw, topic.msgtype)
        if topic.msgtype == COMPRESSED:
            image = decode_compressed(message.data, layout=message.format)
        else:
            image = image_from_ros(message)
        info = contents.info(time)
        camera = None if info is None else camera_from_ros(info, width=image.shape[1], height=image.shape[0])
        frame = Frame(image, contents.stamp(position), message.header.frame_id, camera)
        self._last = (position, time, frame)
        return frame


class Ledger:
    """Answers of a run that was not finished, one JSON line each. A file of another run is begun anew."""

    def __init__(self, path: Path, key: Mapping[str, Any]) -> None:
        self._path = path
        self._key = hashlib.sha256(json.dumps(key, sort_keys=True, default=str).encode()).hexdigest()
        self._done: dict[str, Instruction] = {}
        lines = _lines(path)
        kept: list[dict[str, Any]] = [{"run": self._key}]
        if next(lines, {}).get("run") == self._key:
            kept += [line for line in lines if "for" in line]
            self._done = {line["for"]: instruction_from_json(line["answer"]) for line in kept[1:]}
        path.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")  # without a cut-off line

    def get(self, name: str) -> Instruction | None:
        """The answer, if it has been given."""
        return self._done.get(name)

    def put(self, name: str, instruction: Instruction) -> None:
        """Keep an answer."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"for": name, "answer": instruction_to_json(instruction)}) + "\n")

    def remove(self) -> None:
        """All is done."""
        self._path.unlink(missing_ok=True)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """The whole lines of a ledger; the last one may be cut off."""
    if not path.is_file():
        return
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            yield dict(json.loads(line))
        except (ValueError, TypeError):
            return


def answer_all(
    items: Sequence[Item],
    frames: Frames,
    engine: Engine,
    options: GuideOptions,
    ledger: Ledger,
    *,
    name: str,
    key: str,
    quiet: bool,
) -> list[Instruction]:
    """One Instruction for each item, by the node's pipeline, with the node's clock held at the look.

    name: of the model, for people. key: the same, and no other model's, by which the ledger keeps its answers.
    """
    guide = Guide(engine, options)
    answers = []
    for item in tqdm(items, desc=name, unit="question", disable=quiet, dynamic_ncols=True):
        asked = f"{key} {item.question.query_id} {item.question.time}"
        answer = ledger.get(asked)
        if answer is None:
            answer = _answer(item, frames, guide)
            ledger.put(asked, answer)
        answers.append(answer)
    return answers


def _answer(item: Item, frames: Frames, guide: Guide) -> Instruction:
    question, look = item.question, item.look
    refused = partial(refusal, query=question.text, query_id=question.query_id, priority=question.priority)
    if look.position is None:
        return replace(refused(look.status, message=look.message), image_age=look.age)
    started = time.monotonic()
    try:
        frame = frames.frame(look.position, look.time)
    except UserError as error:
        return refused(Status.POOR_IMAGE, message=str(error))
    return guide.answer(
        frame,
        question.text,
        query_id=question.query_id,
        priority=question.priority,
        now=lambda: look.now,
        started=started,
    )


def identity(path: Path) -> list[tuple[str, int, int]]:
    """Name, size and time of change of every file below, to tell whether something is still the same."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return [(file.name, os.stat(file).st_size, os.stat(file).st_mtime_ns) for file in files if file.is_file()]
