"""What happened in a sweep, line by line: trials started, done, failed with the reason, stopped.

Which trials are done stands in their folders; the ledger says when, how long it took, and why not.
"""

from __future__ import annotations

import json
import os
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from nav_vlm_node.errors import UserError

LEDGER = "ledger.jsonl"
STARTED, FINISHED, FAILED, STOPPED = "started", "done", "failed", "stopped"


class Ledger:
    """The ledger in the folder of a sweep, for one writer. A last line that is not whole is cut off."""

    def __init__(self, out: Path) -> None:
        self.path = out / LEDGER
        try:
            whole = self.path.read_bytes() if self.path.exists() else b""
            torn = len(whole) - (whole.rfind(b"\n") + 1)
            if torn:
                os.truncate(self.path, len(whole) - torn)
        except OSError as error:
            raise self._cannot_write(error) from None

    def add(self, event: str, trial: str, **more: Any) -> None:
        """One line, by one write. Raises UserError for a full disk."""
        now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        line = json.dumps({"time": now, "event": event, "trial": trial, **more}) + "\n"
        try:
            with self.path.open("ab", buffering=0) as file:
                start = file.seek(0, os.SEEK_END)
                if file.write(line.encode()) != len(line.encode()):
                    file.truncate(start)
                    raise OSError("the disk is full")
        except OSError as error:
            raise self._cannot_write(error) from None

    def lines(self) -> list[dict[str, Any]]:
        """All whole lines. Raises UserError that names a damaged one."""
        found = []
        try:
            text = self.path.read_bytes() if self.path.exists() else b""
        except OSError as error:
            raise UserError(f"{self.path} cannot be read: {error.strerror or error}; put that right") from None
        for number, line in enumerate(text.split(b"\n")[:-1], 1):
            try:
                one = dict(json.loads(line))
                found.append({**one, "event": str(one["event"]), "trial": str(one["trial"])})
            except (ValueError, TypeError, KeyError, RecursionError):
                raise UserError(f"{self.path} line {number} is damaged; delete that line") from None
        return found

    def _cannot_write(self, error: OSError) -> UserError:
        return UserError(
            f"cannot write {self.path}: {error.strerror or error}; put that right and give the same command again"
        )
