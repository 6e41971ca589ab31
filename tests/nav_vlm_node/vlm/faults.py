"""Engines that go wrong on purpose, made inside the engine process by the tests of supervision."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import re
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nav_vlm_node.errors import UserError
from nav_vlm_node.view import View
from nav_vlm_node.vlm.protocol import EngineOutOfMemory
from nav_vlm_node.vlm.scripted import ScriptedEngine

SIZE = 64


def faulty(fault: str, at: int = 2, **options: Any) -> ScriptedEngine:
    """Does as it is told until token `at` of a question that says "now"."""

    def on_token(index: int) -> None:
        if index != at or not engine.queries[-1].endswith("now"):
            return
        if fault == "hang":
            while True:  # deaf to cancel, like a kernel that never returns
                time.sleep(0.01)
        if fault == "memory":
            raise EngineOutOfMemory("out of memory on cuda:0: tried to allocate 2.00 GiB")
        if fault == "segfault":
            ctypes.string_at(0)
        if fault == "exit":
            print("cannot go on", flush=True)
            os._exit(7)
        if fault == "babble":  # on the socket, among the messages
            os.write(int(sys.argv[2]), struct.pack(">I", 5) + b"hello")
            time.sleep(60)
        if fault == "helper":  # outlives it, and has its output
            subprocess.Popen(["sleep", "20"])
            os._exit(7)
        if fault == "twin":  # outlives it, and has its socket
            if os.fork() == 0:
                time.sleep(20)
                os._exit(0)
            os.kill(os.getpid(), signal.SIGKILL)
        if fault == "bug":
            raise KeyError("a mistake in the engine")

    engine = ScriptedEngine("one two three four five six", on_token=on_token, **options)
    return engine


def checksum(view_size: int = SIZE) -> ScriptedEngine:
    """Answers with the picture's digest."""

    def answer(image: npt.NDArray[np.uint8], query: str) -> str:
        return hashlib.sha256(image.tobytes()).hexdigest()

    view = View(projection="squash", width=view_size, height=view_size)
    engine = ScriptedEngine(answer, view=view)
    encode = engine.encode
    engine.encode = lambda image, *, timeout=None: encode(image.copy())  # type: ignore[method-assign]
    return engine


def surroundings() -> ScriptedEngine:
    """Answers with the process's environment."""
    return ScriptedEngine(lambda image, query: re.sub(r"\s", "_", json.dumps(dict(os.environ))))


def unless(path: str) -> ScriptedEngine:
    """Cannot be made while the file exists."""
    if Path(path).exists():
        raise UserError(f"{path} is in the way: remove it")
    return ScriptedEngine("all well", adapters=("a", "b"))


def dies_at_birth() -> ScriptedEngine:
    print("libcudart.so.99: cannot open shared object file", flush=True)
    os._exit(3)
