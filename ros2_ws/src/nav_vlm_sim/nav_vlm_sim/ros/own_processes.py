"""Nodes as processes of one's own, on a ROS 2 domain that nobody else uses: they end when this process does."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, TypeAlias

from nav_vlm_node.errors import UserError
from nav_vlm_node.ros.domains import claim_domain
from nav_vlm_node.ros.middleware import allow_large_images

STOP_PATIENCE = 10.0  # seconds for a process to end in order
# Ids whose ports lie above those that Linux hands out (32768 to 60999), far from what people choose by hand.
DOMAINS = range(215, 232)

Value: TypeAlias = "bool | int | float | str"


class SystemFailure(Exception):
    """The system did not do what it is there for; the message is one line."""


class OwnProcess:
    """A node in a process of its own, on a leash: it ends in order when this process does, however it ends."""

    def __init__(self, name: str, module: str, parameters: Mapping[str, Value], folder: Path) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        # A file, because no quoting on a command line keeps "" and paths with blanks as they are.
        file = folder / f"{name}.yaml"
        file.write_text(json.dumps({"/**": {"ros__parameters": dict(parameters)}}), encoding="utf-8")
        command = [sys.executable, "-m", "nav_vlm_sim.ros.leashed", module, "--ros-args", "--params-file", str(file)]
        with self.log.open("wb") as log:
            # A group of its own: a Ctrl-C in the terminal is for the demo, which then lets the leash go.
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        assert self._process.stdin is not None
        self._leash: IO[bytes] = self._process.stdin

    def check(self) -> None:
        """Raises SystemFailure if the process has ended."""
        status = self._process.poll()
        if status is not None:
            raise SystemFailure(f"the process of {self.name} ended (exit status {status}): {self.last_words()}")

    @property
    def ended(self) -> bool:
        """Whether it has."""
        return self._process.poll() is not None

    def last_words(self) -> str:
        """The last line of its log."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1].strip() if lines else "it said nothing"

    def release(self) -> None:
        """Let it end."""
        self._leash.close()

    def wait(self, until: float) -> None:
        """Wait for its end, and make sure of it; also of processes that it started."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(max(0.1, until - time.monotonic()))
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def enter_domain(domain: int, folder: Path) -> None:
    """Sets this process and those that it starts to a domain of this machine alone; logs of ROS go to `folder`."""
    os.environ["ROS_DOMAIN_ID"] = str(domain)
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    os.environ["ROS_LOG_DIR"] = str(folder / "ros")
    allow_large_images()


def free_domain() -> tuple[socket.socket, int]:
    """A ROS 2 domain that nobody on this machine uses, and what keeps other demos from it until it is closed."""
    first = os.getpid() % len(DOMAINS)
    if claimed := claim_domain((*DOMAINS[first:], *DOMAINS[:first])):
        return claimed
    raise UserError(f"the ROS 2 domains {DOMAINS[0]} to {DOMAINS[-1]} are all in use; name a free one: --domain ID")
