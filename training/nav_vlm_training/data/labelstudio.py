"""Label Studio: tasks and a labelling config for answering, and what its JSON export holds, every annotator's.

Nothing of Label Studio is imported: its formats are JSON and XML. In a project made with `ANSWER_CONFIG` a person sees
a picture and a question (or writes one), answers in their own words, and says by a choice where the answer sends.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from nav_vlm_node.errors import UserError
from nav_vlm_training.data.answers import truth_of
from nav_vlm_training.data.balance import DIRECTIONS, direction_of
from nav_vlm_training.data.reading import (
    Members,
    Odd,
    Pair,
    Reading,
    Remark,
    inside,
    label,
    plain,
    raw,
    read_json_file,
    words,
)

URL = "/data/local-files/?d="  # how Label Studio serves files below its LOCAL_FILES_DOCUMENT_ROOT
NONE = "no direction"
ANSWER_CONFIG = """<View>
  <Header value="The wearer of this camera cannot see and asks you. Left and right are the wearer's."/>
  <Image name="picture" value="$image" zoom="true" zoomControl="true"/>
  <TextArea name="question" toName="picture" value="$question" rows="1" maxSubmissions="1" editable="true"
            required="true" placeholder="What the wearer asks"/>
  <TextArea name="answer" toName="picture" rows="3" maxSubmissions="1" editable="true" required="true"
            placeholder="What is in the way first, then where to turn and how far to go. Only what can be seen."/>
  <Header size="5" value="Which way does your answer send the wearer first?"/>
  <Choices name="direction" toName="picture" choice="single" showInline="true" required="true">
    <Choice value="ahead"/>
    <Choice value="left"/>
    <Choice value="right"/>
    <Choice value="behind"/>
    <Choice value="no direction"/>
  </Choices>
  <Header size="5" value="Is anything in the way?"/>
  <Choices name="hazard" toName="picture" choice="single" showInline="true" required="true">
    <Choice value="yes"/>
    <Choice value="no"/>
    <Choice value="cannot tell"/>
  </Choices>
</View>
"""
_UPLOADED = re.compile(r"^[0-9a-f]{8}-(?=.)")  # what Label Studio puts before the name of an uploaded file


@dataclass(frozen=True)
class Annotation:
    """One person's work on one task. data: the task's. texts, choices: what was written and chosen, by tag."""

    where: str
    task: str
    annotator: str
    data: Mapping[str, Any]
    texts: Mapping[str, str]
    choices: Mapping[str, str]


def task_of(picture: str, question: str, url: str = URL, **more: str) -> dict[str, Any]:
    """A task to import. picture: relative to the folder that `url` serves; the task keeps it, to be found again."""
    return {"data": {"image": url + quote(picture), "picture": picture, "question": question, **more}}


def read_annotations(path: Path) -> tuple[list[Annotation], list[Remark]]:
    """All annotations of a JSON export ("JSON", not "JSON-MIN"), and remarks on what is odd in it. Raises UserError."""
    top = read_json_file(path)
    if not isinstance(top, list) or isinstance(top, Members):
        raise UserError(f"{path} is no list of tasks; export the project from Label Studio as JSON")
    found: list[Annotation] = []
    remarks: list[Remark] = []
    for number, entry in enumerate(top, 1):
        where = f"{path.name} task {number}"
        try:
            task = _object(entry)
            where = f"{path.name} task {label(task.get('id')) or number}"
            if "annotations" not in task:
                raise Odd('it has no "annotations"; export as JSON, not as JSON-MIN')
            data, made = task.get("data"), task["annotations"]
            if not isinstance(data, dict) or not isinstance(made, list):
                raise Odd('its "data" or "annotations" are not as Label Studio exports them')
        except Odd as error:
            remarks.append(Remark(where, str(error), raw=raw(str(entry))))
            continue
        if not made:
            remarks.append(Remark(where, "nobody has worked on it", raw=raw(str(data))))
        for index, one in enumerate(made, 1):
            inner = f"{where} annotation {index}"
            try:
                found.append(_annotation(inner, where, data, one))
            except Odd as error:
                remarks.append(Remark(inner, str(error), raw=raw(str(one))))
    return found, remarks


def read_labelstudio(paths: Iterable[Path], *, agreed: bool = False) -> Reading:
    """Every annotator's answers. agreed: without those to questions on which annotators send different ways.

    Raises UserError for a file that is no export, or where nothing is left.
    """
    pairs: list[Pair] = []
    remarks: list[Remark] = []
    for path in paths:
        annotations, odd = read_annotations(path)
        remarks += odd
        for one in annotations:
            try:
                pairs.append(_pair(one))
            except Odd as error:
                remarks.append(Remark(one.where, str(error), raw=raw(str(one.texts))))
    split = disputed(pairs)
    if agreed and pairs and len(split) == len({(pair.image, pair.question) for pair in pairs}):
        raise UserError(
            f"annotators disagree on all {len(split)} questions; see: nav-vlm-train agreement, or keep them"
        )
    for key, ways in split.items():
        where = next(pair.where for pair in pairs if (pair.image, pair.question) == key)
        remarks.append(Remark(where, f"annotators send different ways ({', '.join(ways)})", left_out=agreed))
    if agreed:
        pairs = [pair for pair in pairs if (pair.image, pair.question) not in split]
    return Reading(pairs, remarks)


def disputed(pairs: Sequence[Pair]) -> dict[tuple[str, str], list[str]]:
    """(picture, question) -> the ways that its annotators send, where these differ."""
    ways: defaultdict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    for pair in pairs:
        ways[pair.image, pair.question][way_of(pair.question, pair.text)] = None
    return {key: list(found) for key, found in ways.items() if len(found) > 1}


def way_of(question: str, answer: str) -> str:
    """Where an answer sends: one of DIRECTIONS, or NONE."""
    way = direction_of(truth_of(question, answer)[0])
    return way if way in DIRECTIONS else NONE


def picture_of(data: Mapping[str, Any]) -> str:
    """The picture of a task, relative to the pictures' folder. Raises Odd."""
    if data.get("picture"):
        return inside(data["picture"], "picture")
    url = words(data.get("image"), "image")
    parts = urlsplit(url)
    local = parse_qs(parts.query).get("d", [""])[0]
    if local:
        return inside(local)
    name = inside(unquote(parts.path).rstrip("/").rpartition("/")[2])
    return _UPLOADED.sub("", name) if "/upload/" in parts.path else name


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, Members):
        raise Odd("it is no object")
    found: dict[str, Any] = plain(value)
    return found


def _annotation(where: str, task: str, data: Mapping[str, Any], made: object) -> Annotation:
    if not isinstance(made, dict):
        raise Odd("it is no object")
    if made.get("was_cancelled"):
        raise Odd("skipped by its annotator")
    who = made.get("completed_by")
    who = who.get("email") or who.get("id") if isinstance(who, dict) else who
    results = made.get("result")
    if not isinstance(results, list):
        raise Odd('it has no "result"')
    texts: dict[str, str] = {}
    choices: dict[str, str] = {}
    for result in results:
        inner = result.get("value") if isinstance(result, dict) else None
        if not isinstance(inner, dict):
            raise Odd('its "result" is not as Label Studio exports it')
        name = label(result.get("from_name"))
        if "text" in inner:
            written = inner["text"] if isinstance(inner["text"], list) else [inner["text"]]
            texts[name] = " ".join(words(part, name or "text") for part in written)
        elif "choices" in inner:
            chosen = inner["choices"]
            if not isinstance(chosen, list) or len(chosen) != 1:
                raise Odd(f"{name or 'a choice'!r} is not one choice")
            choices[name] = words(chosen[0], name or "choice")
    return Annotation(where, task, label(who) or "unknown", data, texts, choices)


def _pair(one: Annotation) -> Pair:
    question = one.texts.get("question") or words(one.data.get("question"), "question")
    answer = words(one.texts.get("answer"), "answer")
    said, chosen = way_of(question, answer), one.choices.get("direction", "")
    if chosen in DIRECTIONS and said in DIRECTIONS and said != chosen:
        raise Odd(f"the answer says {said} and the choice {chosen}")
    return Pair(
        where=one.where, image=picture_of(one.data), question=question, text=answer, scene=label(one.data.get("scene")),
        room=label(one.data.get("room")), annotator=one.annotator,
    )  # fmt: skip
