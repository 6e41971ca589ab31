"""What a run leaves in words: one JSONL, from its settings to its last evaluation, and TensorBoard where it is there.

The first line holds settings, versions and hashes; then a line per so many updates, per evaluation, per stage.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from nav_vlm_node.errors import UserError
from nav_vlm_node.vlm.card import finite

RECORD = "run.jsonl"
COMPARED = ("config", "model_sha256", "data_sha256", "prompt", "learnt", "validated", "rephraser")


class RunRecord:
    """The record of the run in a folder. writes: False for all processes but the first."""

    def __init__(self, run: Path, *, writes: bool = True) -> None:
        self.path = run / RECORD
        self._writes = writes
        self._began = time.monotonic()
        self._before = 0.0  # seconds of training before this process
        self._board: Any = None
        self._lock: int | None = None

    def start(self, head: Mapping[str, Any]) -> None:
        """Begin, or go on. Raises UserError where the folder holds a run of other settings, is another process's now,
        or cannot be written."""
        lines = self.lines()
        if lines:
            compare(self.path, lines[0], head)
        if self._writes:
            self._claim()
            self._cut_torn_line()
        if lines:
            self._before = max((float(line.get("seconds", 0.0)) for line in lines), default=0.0)
        elif self._writes:
            self._append({"event": "start", **head})

    def go_on(self, step: int, evaluated: int) -> None:
        """Forget what came after update `step` and after the evaluation at `evaluated`, for it is done again."""
        if not self._writes:
            return
        kept = [
            line for line in self.lines()
            if int(line.get("step", -1)) <= (evaluated if line["event"] in ("evaluation", "end") else step)
        ]  # fmt: skip
        draft = self.path.with_name(f".{self.path.name}.draft")
        try:
            draft.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
            os.replace(draft, self.path)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise _cannot_write(self.path, error) from None
        self.add("resumed", step)

    def board(self, folder: Path, first: int) -> bool:
        """Write numbers for TensorBoard too; False where its package is missing. Raises UserError for a full disk.

        What an earlier process wrote of step `first` and later is forgotten, as it is in the record.
        """
        if not self._writes:
            return True
        try:
            from torch.utils.tensorboard import SummaryWriter  # type: ignore[attr-defined,unused-ignore]
        except ImportError:
            return False
        try:
            self._board = SummaryWriter(str(folder), purge_step=first)
        except OSError as error:
            raise _cannot_write(folder, error) from None
        return True

    def add(self, event: str, step: int, **values: Any) -> None:
        """One line; every number of it also for TensorBoard. Raises UserError for a full disk."""
        if not self._writes:
            return
        seconds = round(self._before + time.monotonic() - self._began, 2)
        self._append({"event": event, "step": step, "seconds": seconds, **finite(values)})
        if self._board is None:
            return
        for name, value in values.items():
            number = value.get("value") if isinstance(value, dict) else value
            if isinstance(number, (int, float)):
                try:
                    self._board.add_scalar(f"{event}/{name}", number, step)
                except OSError as error:
                    raise _cannot_write(Path(self._board.log_dir), error) from None

    def lines(self) -> list[dict[str, Any]]:
        """What is there so far; a last line that a killed run left half-written is dropped. Raises UserError."""
        if not self.path.is_file():
            return []
        found = []
        for number, line in enumerate(self.path.read_bytes().splitlines(keepends=True)):
            if not line.endswith(b"\n"):
                break
            try:
                found.append(dict(json.loads(line)))
            except (ValueError, TypeError):
                raise UserError(f"{self.path} line {number + 1} is damaged; give another --run") from None
        return found

    def close(self) -> None:
        """At the end, however it came: the folder is free for others; again does nothing."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        board, self._board = self._board, None
        if board is not None:
            with suppress(OSError):  # of a full disk: the record has the same figures
                board.close()

    def _claim(self) -> None:
        """The folder is this process's until `close`, or until it ends. Raises UserError."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.path.parent, os.O_RDONLY)
        except OSError as error:
            raise _cannot_write(self.path, error) from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            where = self.path.parent
            raise UserError(f"another process trains in {where}; wait for it, or give another --run") from None
        except OSError:
            pass  # a file system without locks

    def _cut_torn_line(self) -> None:
        """What is written next would be one line with it. Raises UserError."""
        try:
            if self.path.is_file() and (whole := self.path.read_bytes()) and not whole.endswith(b"\n"):
                os.truncate(self.path, whole.rfind(b"\n") + 1)
        except OSError as error:
            raise _cannot_write(self.path, error) from None

    def _append(self, line: Mapping[str, Any]) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            raise _cannot_write(self.path, error) from None


def compare(path: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raises UserError that names what differs where `found` is the head of another run."""
    names = []
    for name in COMPARED:
        one, other = found.get(name), wanted.get(name)
        if isinstance(one, dict) and isinstance(other, dict):
            names += [key for key in {**one, **other} if one.get(key) != other.get(key)]
        elif one != other:
            names.append(name)
    if names:
        raise UserError(
            f"{path} is of a run with other settings ({', '.join(names)} differ); give another --run, or delete it"
        )


def _cannot_write(path: Path, error: OSError) -> UserError:
    return UserError(f"cannot write {path}: {error.strerror or error}; put that right and give the same command again")
