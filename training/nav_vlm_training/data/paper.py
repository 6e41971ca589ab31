"""The question files that belong to arXiv 2509.07488: lines "path;Q:question;A:answer", and JSON with ids.

The pictures are those of MIT Indoor 67 and come from elsewhere; paths are relative to its Images folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from nav_vlm_node.errors import UserError
from nav_vlm_training.data.reading import (
    Members,
    Odd,
    Pair,
    Reading,
    Remark,
    decode,
    inside,
    numbered_lines,
    raw,
    read_file,
    read_json_file,
    words,
)

LICENCE = (
    "questions: MIT by their README, without a LICENSE file; pictures: MIT Indoor 67, for research only, not to be "
    "redistributed"
)
_QUESTION = re.compile(r";\s*[Qq]\s*:")
_ANSWER = re.compile(r";\s*[Aa]\s*:")


def text_files(paths: Iterable[Path]) -> list[Path]:
    """The files that are meant: a folder stands for its *.txt. Raises UserError where there are none."""
    found: list[Path] = []
    for path in paths:
        inner = sorted(path.glob("*.txt")) if path.is_dir() else [path]
        if not inner:
            raise UserError(f"folder {path} holds no *.txt; give the files of questions, or their folder")
        found += inner
    return found


def read_text(paths: Iterable[Path]) -> Reading:
    """All lines of text files. Raises UserError for a file that cannot be read; what is wrong in one is a remark."""
    pairs: list[Pair] = []
    remarks: list[Remark] = []
    first: dict[tuple[str, str, str], str] = {}
    for path in text_files(paths):
        for number, line in numbered_lines(read_file(path)):
            where = f"{path.name}:{number}"
            try:
                text, why = decode(line)
                pair = _pair(where, *_fields(text))
                _once(first, pair)
                pairs.append(pair)
                if why:
                    remarks.append(Remark(where, why, left_out=False))
            except Odd as error:
                remarks.append(Remark(where, str(error), raw=raw(line)))
    return Reading(pairs, remarks)


def read_json(paths: Iterable[Path]) -> Reading:
    """All entries of files of the form {id: {"path", "query", "answer"}}, or of a list of such objects.

    Raises UserError for a file that is none; what is wrong in an entry is a remark.
    """
    pairs: list[Pair] = []
    remarks: list[Remark] = []
    for path in paths:
        top = read_json_file(path)
        if isinstance(top, Members):
            entries: list[tuple[str, object]] = list(top)
        elif isinstance(top, list):
            entries = [(str(number), entry) for number, entry in enumerate(top, 1)]
        else:
            raise UserError(
                f'{path} is no object of {{id: {{"path", "query", "answer"}}}}; give one, or another --from'
            )
        first: dict[tuple[str, str, str], str] = {}
        ids: set[str] = set()
        for name, entry in entries:
            where = f"{path.name} id {raw(name)}"
            try:
                if not isinstance(entry, Members):
                    raise Odd('it is no object with "path", "query" and "answer"')
                data = entry.to_dict()
                pair = _pair(where, data.get("path"), data.get("query"), data.get("answer"))
                _once(first, pair)
                pairs.append(pair)
                if name in ids:
                    remarks.append(Remark(where, "its id is there twice", left_out=False))
                ids.add(name)
            except Odd as error:
                remarks.append(Remark(where, str(error), raw=raw(str(entry))))
    return Reading(pairs, remarks)


def _fields(text: str) -> tuple[str, str, str]:
    """Path, question and answer of a line. Raises Odd."""
    if ";" not in text:
        raise Odd("it is not like path;Q:question;A:answer")
    questions, answers = list(_QUESTION.finditer(text)), list(_ANSWER.finditer(text))
    for marks, name in ((questions, ";Q:"), (answers, ";A:")):
        if len(marks) != 1:
            raise Odd(f"it has no {name!r}" if not marks else f"it has {name!r} {len(marks)} times")
    asked, answered = questions[0], answers[0]
    if asked.end() > answered.start():
        raise Odd("its answer stands before its question")
    return text[: asked.start()], text[asked.end() : answered.start()], text[answered.end() :]


def _pair(where: str, path: object, question: object, answer: object) -> Pair:
    image = inside(path, "path")
    room = image.split("/")[0] if "/" in image else ""
    return Pair(where=where, image=image, question=words(question, "question"), text=words(answer, "answer"), room=room)


def _once(first: dict[tuple[str, str, str], str], pair: Pair) -> None:
    """Raises Odd for what has been read before, word for word."""
    key = (pair.image, pair.question, pair.text)
    if key in first:
        raise Odd(f"the same as {first[key]}")
    first[key] = pair.where
