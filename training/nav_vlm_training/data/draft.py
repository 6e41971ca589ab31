"""A data set in the making: a folder beside the one that it becomes, so that a set is there whole or not at all.

The draft of D is .D.draft. A run that was killed leaves it behind; the same command goes on with it, and takes no
picture twice. When everything is there it is renamed to D.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from nav_vlm_node.errors import UserError
from nav_vlm_training.data.pictures import Facts, take
from nav_vlm_training.data.reading import Odd
from nav_vlm_training.data.samples import CARD

_IDENTITY, _LEDGER, _LOCK = "identity.json", "pictures.jsonl", "lock"


class Draft:
    """The pictures of a data set in the making, each taken once. Made by `draft_of`."""

    def __init__(self, folder: Path, *, link: bool) -> None:
        self.folder = folder
        self._link = link
        self._ledger = folder / _LEDGER
        self._known = _read_ledger(self._ledger)
        self._owner = {record["image"]: name for name, record in self._known.items() if not record["odd"]}

    def take(self, source: Path, name: str) -> tuple[Facts, str]:
        """The picture `source`, which others call `name`; returns what it is and its place in the data set.

        That is images/`name`, or one beside it where another picture is there already, as of a.png and images/a.png.

        Raises Odd for a picture that cannot be used, OSError for a disk that does not take it.
        """
        state = source.stat()
        stamp = [state.st_size, state.st_mtime_ns]
        known = self._known.get(name)
        if known is None or known["stamp"] != stamp or not self._is_there(known):
            known = {"name": name, "stamp": stamp, **self._take(source, name)}
            self._known[name] = known
            if not known["odd"]:
                self._owner[known["image"]] = name
            with self._ledger.open("a", encoding="utf-8") as ledger:
                ledger.write(json.dumps(known) + "\n")
        if known["odd"]:
            raise Odd(known["odd"])
        return Facts(**known["facts"]), known["image"]

    def write(self, name: str, text: str) -> None:
        """Writes a file of the data set. Raises OSError."""
        (self.folder / name).write_text(text, encoding="utf-8")

    def finish(self, out: Path, images: Collection[str]) -> None:
        """Removes all but `images` and what was written, and makes the draft `out`. Raises OSError."""
        for path in list((self.folder / "images").rglob("*")):
            if path.is_file() and path.relative_to(self.folder).as_posix() not in images:
                path.unlink()
        for name in (_IDENTITY, _LEDGER, _LOCK):
            (self.folder / name).unlink(missing_ok=True)
        os.replace(self.folder, out)

    def _take(self, source: Path, name: str) -> dict[str, Any]:
        try:
            facts, path = take(source, self.folder / self._place(name), link=self._link)
        except Odd as error:
            return {"odd": str(error)}
        return {"odd": "", "facts": facts.to_json(), "image": path.relative_to(self.folder).as_posix()}

    def _place(self, name: str) -> str:
        """Where no other picture is, neither under that name nor under the one that a converted picture gets."""
        place = name.removeprefix("images/")
        while any(self._owner.get(f"images/{place}{end}", name) != name for end in ("", ".png")):
            place = f"other/{place}"
        return f"images/{place}"

    def _is_there(self, known: Mapping[str, Any]) -> bool:
        return bool(known["odd"]) or (self.folder / known["image"]).is_file()


@contextlib.contextmanager
def draft_of(out: Path, identity: Mapping[str, Any], *, link: bool = False) -> Iterator[Draft]:
    """The draft of `out`, for one run at a time; identity: what two runs must share to go on with each other's.

    An interrupt or a full disk leaves it for the next run; a UserError removes it. Raises UserError where another run
    has it or it is something else, and OSError.
    """
    folder = out.parent / f".{out.name}.draft"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"another run is preparing {out}; wait for it, or give another --out") from None
        wanted = json.dumps(identity, indent=1, sort_keys=True)
        if not _is(folder / _IDENTITY, wanted):
            _clear(folder)
            (folder / _IDENTITY).write_text(wanted, encoding="utf-8")
        try:
            yield Draft(folder, link=link)
        except UserError:  # not to be put right by going on
            shutil.rmtree(folder, ignore_errors=True)
            raise


def _clear(folder: Path) -> None:
    """Empties a draft of other data; its lock stays. Raises UserError for what is no draft, and OSError."""
    there = {path.name for path in folder.iterdir()} - {_LOCK}
    if there and there.isdisjoint((_IDENTITY, _LEDGER, CARD)):
        raise UserError(f"{folder} is in the way and was not made by `prepare`; move it, or give another --out")
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != _LOCK:
            path.unlink()


def finished(out: Path, identity: Mapping[str, Any]) -> dict[str, Any] | None:
    """The card of `out` where it is there already; None where it is free. Raises UserError where it is another set."""
    if not out.exists():
        return None
    if out.is_dir() and not any(out.iterdir()):
        return None
    try:
        card = json.loads((out / CARD).read_bytes())
        plan = card["plan"]
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"{out} is there and is no data set that `prepare` made; give another --out") from None
    if plan != json.loads(json.dumps(identity)):
        names = [name for name in {**identity, **plan} if identity.get(name) != plan.get(name)]
        raise UserError(f"{out} holds another data set ({', '.join(names)} differ); give another --out, or delete it")
    return dict(card)


def _is(path: Path, text: str) -> bool:
    try:
        return path.read_text(encoding="utf-8") == text
    except (OSError, ValueError):
        return False


def _read_ledger(path: Path) -> dict[str, dict[str, Any]]:
    """What was taken so far; a line that a killed run did not finish is dropped: its picture is taken again."""
    known: dict[str, dict[str, Any]] = {}
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError:
        return known
    for line in lines[:-1]:
        with contextlib.suppress(ValueError, KeyError, TypeError):
            record = json.loads(line)
            if record["odd"] or (record["image"] and record["facts"]):
                known[record["name"]] = record
    if lines[-1]:
        path.write_bytes(b"".join(line + b"\n" for line in lines[:-1]))
    return known
