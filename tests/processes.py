"""Commands as processes for tests: started in a session of their own, so that what they leave behind can be seen."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


class Session:
    """A command with all its descendants. As a context manager it leaves nothing behind, whatever the test does."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, **(environment or {})},
        )

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        if self.alive():
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()

    def alive(self) -> list[int]:
        """The ids of its living processes."""
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                state, _, _, session = stat.read_text().rsplit(")", 1)[1].split()[:4]
            except OSError:  # it has just ended
                continue
            if int(session) == self.process.pid and state != "Z":
                found.append(int(stat.parent.name))
        return found

    def still_runs(self) -> None:
        """AssertionError with its last words, if it has ended."""
        if self.process.poll() is not None:
            output, errors = self.process.communicate()
            raise AssertionError(f"ended with status {self.process.returncode}:\n{output}\n{errors}")

    def interrupt(self, *, all_of_it: bool = False, patience: float = 120.0) -> tuple[int, str, str]:
        """SIGINT, to every process (as Ctrl-C in a terminal) or to the first; (exit status, output, errors) then."""
        if all_of_it:
            os.killpg(self.process.pid, signal.SIGINT)
        else:
            self.process.send_signal(signal.SIGINT)
        output, errors = self.process.communicate(timeout=patience)
        return self.process.returncode, output, errors
