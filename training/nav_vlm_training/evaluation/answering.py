"""Answers in batches, each written down as soon as it is there: the same command goes on where it was stopped."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

import numpy as np
import numpy.typing as npt

from nav_vlm_node.errors import UserError
from nav_vlm_node.vlm.confidence import confidence
from nav_vlm_node.vlm.protocol import EngineError, EngineOutOfMemory
from nav_vlm_training.data.samples import Pictures, Sample
from nav_vlm_training.evaluation.shots import Shots, with_shots

if TYPE_CHECKING:
    from nav_vlm_node.vlm.blip2 import Blip2Engine

BOOK = "answers.jsonl"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Job:
    """A question to put to a system: `sample`'s question, about the picture of `shown` (nearly always the same)."""

    system: str
    sample: Sample
    shown: Sample

    @property
    def key(self) -> str:
        """What an answer depends on, but for the model."""
        return "\t".join((self.system, self.shown.image, self.sample.question))


@dataclass(frozen=True, slots=True)
class Written:
    """What a model wrote. confidence: 0..1, by nav_vlm_node.vlm.confidence, as the node has it."""

    text: str
    confidence: float


class AnswerBook:
    """Answers so far, in memory and, where a folder is given, in its answers.jsonl.

    identity: what the answers depend on besides the question; a book of another one is refused by UserError, and so is
    one that another process writes.
    """

    def __init__(self, folder: Path | None, identity: Mapping[str, Any]) -> None:
        self._answers: dict[str, Written] = {}
        self._file: TextIO | None = None
        if folder is None:
            return
        path = folder / BOOK
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a", encoding="utf-8")
            with suppress(OSError):  # of a file system without locks
                self._claim(folder)
            self._read(path, dict(identity))
            if path.stat().st_size == 0:
                self._write({"identity": dict(identity)})
        except UserError:
            if self._file is not None:
                self._file.close()
            raise
        except OSError as error:
            raise UserError(f"cannot write to {folder}: {error.strerror or error}; give another --out") from None

    def _claim(self, folder: Path) -> None:
        """The file is this process's as long as it is open. Raises UserError, OSError."""
        assert self._file is not None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"another evaluation is at work in {folder}; wait for it, or give another --out") from None

    def __enter__(self) -> AnswerBook:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            with suppress(OSError):  # of a full disk, which `add` has told: what was kept is whole
                self._file.close()

    def __contains__(self, job: Job) -> bool:
        return job.key in self._answers

    def __getitem__(self, job: Job) -> Written:
        return self._answers[job.key]

    def __len__(self) -> int:
        return len(self._answers)

    def add(self, answers: Iterable[tuple[Job, Written]]) -> None:
        """Keep some. Raises UserError for a full disk."""
        answers = list(answers)
        for job, written in answers:
            self._answers[job.key] = written
        try:
            for job, written in answers:
                self._write(
                    {
                        "system": job.system, "image": job.shown.image, "question": job.sample.question,
                        "text": written.text, "confidence": round(written.confidence, 4),
                    }
                )  # fmt: skip
            if self._file is not None:
                self._file.flush()
        except OSError as error:
            raise UserError(
                f"the answers cannot be kept: {error.strerror or error}; free some space and go on"
            ) from None

    def _write(self, record: Mapping[str, Any]) -> None:
        if self._file is not None:
            self._file.write(json.dumps(record) + "\n")

    def _read(self, path: Path, identity: dict[str, Any]) -> None:
        if not path.is_file():
            return
        whole = path.read_bytes()
        lines = whole.splitlines(keepends=True)
        if lines and not lines[-1].endswith(b"\n"):  # a run was killed in the middle of a line
            whole = whole[: -len(lines.pop())]
            path.write_bytes(whole)
        for number, line in enumerate(lines):
            try:
                record = json.loads(line)
                if number == 0:
                    _compare(path, record["identity"], identity)
                else:
                    key = "\t".join((record["system"], record["image"], record["question"]))
                    self._answers[key] = Written(record["text"], float(record["confidence"]))
            except (ValueError, KeyError, TypeError):
                raise UserError(
                    f"{path} line {number + 1} is damaged; delete the file, or give another --out"
                ) from None


def answer_all(
    engine: Blip2Engine,
    pictures: Pictures,
    jobs: Sequence[Job],
    book: AnswerBook,
    *,
    batch: int,
    max_new_tokens: int,
    shots: Shots = (),
    done: Callable[[int], object] = lambda count: None,
) -> None:
    """Put to the engine, as it is set, what the book does not have yet; only one batch of pictures is in memory.

    An adapter that was trained on several pictures at a time is shown as many. shots: solved questions that stand
    before each. done: told how many were answered, as they are. Raises UserError, also for what goes wrong in the
    engine.
    """
    waiting: dict[str, Job] = {}
    for job in jobs:
        if job not in book:
            waiting.setdefault(job.key, job)
    todo = sorted(waiting.values(), key=lambda job: (job.shown.image, job.sample.number))

    def answer(part: Sequence[Job]) -> None:
        book.add(zip(part, _answer(engine, pictures, part, shots, max_new_tokens), strict=True))

    in_parts(todo, batch, answer, done)


def in_parts(
    todo: Sequence[T], batch: int, work: Callable[[Sequence[T]], object], done: Callable[[int], object]
) -> None:
    """`work` on all, `batch` at a time, fewer where the engine's memory does not do. Raises UserError."""
    start = 0
    while start < len(todo):
        part = todo[start : start + batch]
        try:
            work(part)
        except EngineOutOfMemory as error:
            if batch == 1:
                raise UserError(f"{error}; use another --device") from None
            batch = max(1, batch // 2)
            continue
        except EngineError as error:
            raise UserError(f"{error}; the answers so far are kept where --out was given") from None
        start += len(part)
        done(len(part))


def _answer(
    engine: Blip2Engine, pictures: Pictures, jobs: Sequence[Job], shots: Shots, max_new_tokens: int
) -> list[Written]:
    frames = engine.frames
    images: dict[str, npt.NDArray[np.uint8]] = {}
    for job in jobs:
        for name in job.shown.frames(frames):
            if name not in images:
                images[name] = pictures(replace(job.shown, image=name))
    encoded = dict(zip(images, engine.encode_batch(list(images.values())), strict=True))
    walks = [[encoded[name] for name in job.shown.frames(frames)] for job in jobs]
    answers = engine.generate_batch(
        [engine.joined(walk) if frames > 1 else walk[0] for walk in walks],
        [with_shots(job.sample.question.strip(), shots) for job in jobs],
        max_new_tokens=max_new_tokens,
    )
    return [Written(text, confidence(tokens)) for text, tokens in answers]


def _compare(path: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    if found != wanted:
        names = [name for name in {**wanted, **found} if found.get(name) != wanted.get(name)]
        raise UserError(
            f"{path} holds the answers of another evaluation ({', '.join(names)} differ); give another --out, "
            "or delete it"
        )
