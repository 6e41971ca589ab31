"""A rosbag2 recording as it is found: a folder, or one of its files; whole, without metadata.yaml, or cut off."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from nav_vlm_node.errors import UserError
from nav_vlm_node.replay.salvage import SALVAGE, ScannedMcap
from nav_vlm_node.replay.storages import Raw, RosbagsStorage, Storage, Topic, one_line

SUFFIXES = tuple(SALVAGE)


class Bag:
    """The messages of a recording. notes: what could not be read, one line each.

    Raises UserError where there is nothing to read. Use it as a context manager.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = Path(os.path.abspath(path)).name  # also of "." and ".."
        self.notes: list[str] = []
        self._storages: list[tuple[Path, Storage]] = []
        if not path.exists():
            raise UserError(f"bag {path} does not exist; give a rosbag2 folder, .mcap or .db3")
        self._note_logs()
        if path.is_dir() and (path / "metadata.yaml").is_file():
            try:
                self._storages = [(path, RosbagsStorage(path))]
                return
            except Exception as error:  # rosbags raises many kinds for damaged files
                if not _undefined(error):
                    self.notes.append(f"the bag is not whole: {self._said(error)}; its files are read one by one")
        elif path.is_dir():
            self.notes.append(f"bag {self.name} has no metadata.yaml; its files are read as they are")
        self._open_files()

    def __enter__(self) -> Bag:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def topics(self) -> list[Topic]:
        """The topics of all files; one that is in several has their counts added."""
        found: dict[str, Topic] = {}
        for topic in (topic for _, storage in self._storages for topic in storage.topics):
            known = found.get(topic.name)
            count = topic.count + (known.count if known else 0)
            best = known if known and known.definition else topic
            found[topic.name] = Topic(best.name, best.msgtype, best.definition, best.idl, count)
        return [found[name] for name in sorted(found)]

    def files(self) -> list[Path]:
        """The files that the bag consists of."""
        if not self.path.is_dir():
            return [self.path]
        return sorted((file for file in self.path.iterdir() if file.is_file()), key=_in_order)

    def each(self, names: frozenset[str], take: Callable[[Raw], None], restart: Callable[[], None]) -> None:
        """`take` every message of these topics, in each file's order; damaged files up to the damage.

        restart: called before everything is gone through again, when a file turns out to be damaged on the way.
        """
        while True:
            restart()
            done = 0
            try:
                for _, storage in self._storages:
                    for raw in storage.messages(names):
                        take(raw)
                    done += 1
            except UserError:
                raise
            except Exception as error:  # as above; the next turn goes through the file's remains
                self._salvage(done, error)
                continue
            for file, storage in self._storages:
                problem = getattr(storage, "problem", "")
                if problem:
                    self._note(f"{file.name} is {problem}; what comes before that is used")
            return

    def between(self, name: str, start: int, stop: int) -> Iterator[Raw]:
        """The messages of one topic at `start` or later and before `stop` [ns]. Raises UserError."""
        for file, storage in self._storages:
            try:
                yield from storage.messages(frozenset([name]), start, stop)
            except Exception as error:  # rosbags raises many kinds for damaged files
                raise UserError(f"{file.name} cannot be read at this place ({self._said(error)})") from None

    def close(self) -> None:
        """Close all files. Idempotent."""
        storages, self._storages = self._storages, []
        for _, storage in storages:
            storage.close()

    def _note_logs(self) -> None:
        """SQLite's own logs beside a file, of a recorder that was killed: what is only there is not read."""
        for log in self.path.parent.glob(f"{self.path.name}-wal") if self.path.is_file() else self.files():
            if log.name.endswith(".db3-wal") and log.stat().st_size:
                name = log.name.removesuffix("-wal")
                put = f"sqlite3 {name} 'PRAGMA wal_checkpoint(TRUNCATE)'"
                self._note(f"{log.name} holds messages that are not read: put them into {name} first, with {put}")

    def _open_files(self) -> None:
        files = [file for file in self.files() if file.suffix in SUFFIXES]
        if not files:
            packed = any(file.suffix == ".zstd" for file in self.files())
            what = "its files are compressed: restore metadata.yaml, or unpack them with zstd -d" if packed else ""
            raise UserError(f"bag {self.path}: {what or 'there is no .mcap or .db3; give a rosbag2 folder or file'}")
        problems = []
        for file in files:
            try:
                self._storages.append((file, self._opened(file)))
            except (UserError, OSError) as error:
                problems.append(one_line(error))
        if not self._storages:
            raise UserError(f"bag {self.path}: {problems[0]}")
        self.notes += problems

    def _opened(self, file: Path) -> Storage:
        try:
            opened = RosbagsStorage(file)
            names = frozenset(topic.name for topic in opened.topics)
            if next(opened.messages(names), None) is not None:
                return opened
            opened.close()  # an index that leaves out what is there, or nothing at all
            raise ValueError("it holds no messages, by its own index")
        except Exception as error:  # as above
            fault = "" if _undefined(error) else f"has no proper end ({self._said(error)}); what can be read is used"
            return self._remains(file, fault)

    def _remains(self, file: Path, fault: str) -> Storage:
        """What is left of a file; an mcap file that is whole is no fault, however `rosbags` finds it."""
        storage: Storage = SALVAGE[file.suffix](file)
        if fault and (not isinstance(storage, ScannedMcap) or storage.problem):
            self._note(f"{file.name} {fault}")
        return storage

    def _salvage(self, index: int, error: Exception) -> None:
        file, storage = self._storages[index]
        storage.close()
        if file.is_dir():  # which of its files it was is found out by opening each
            self._storages = []
            self._note(f"the bag is damaged ({self._said(error)}); its files are read one by one")
            self._open_files()
            return
        if type(storage) in SALVAGE.values():
            raise UserError(f"bag {file} cannot be read ({self._said(error)}); record it again") from None
        self._storages[index] = (file, self._remains(file, f"is damaged ({self._said(error)})"))

    def _said(self, error: Exception) -> str:
        said = one_line(error).replace(str(self.path.resolve()), self.name)
        return said.replace(str(self.path), self.name) if self.path.name else said  # a "." is everywhere

    def _note(self, line: str) -> None:
        if line not in self.notes:
            self.notes.append(line)


def _undefined(error: Exception) -> bool:
    """Whether `rosbags` only lacks what one type means, which rosbag2 could not find either: nothing is damaged."""
    return isinstance(error, KeyError) and error.args[0] in ("", "unknown")


def _in_order(file: Path) -> list[tuple[int, str]]:
    """walk_2.mcap before walk_10.mcap: the order in which a recording was split."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", file.name)]
