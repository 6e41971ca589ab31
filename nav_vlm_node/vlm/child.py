"""One life of the engine process, seen from the node: start it, talk to it, know why it died."""

from __future__ import annotations

import itertools
import logging
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import IO

import nav_vlm_node
from nav_vlm_node.vlm.wire import Channel, FrameMemory, Message

logger = logging.getLogger(__name__)

_PACKAGE = Path(nav_vlm_node.__file__).resolve().parent
# The other interpreter must run this very package, and see nothing else that is installed beside it.
_BOOTSTRAP = """
import importlib.util, sys
sys.path[:] = [path for path in sys.path if path]
spec = importlib.util.spec_from_file_location("nav_vlm_node", sys.argv[1] + "/__init__.py",
                                              submodule_search_locations=[sys.argv[1]])
package = importlib.util.module_from_spec(spec)
sys.modules["nav_vlm_node"] = package
spec.loader.exec_module(package)
from nav_vlm_node.vlm.worker import main
main(*map(int, sys.argv[2:5]))
"""
_numbers = itertools.count(1)


class Request:
    """One question to the process: its number, and the replies as they come."""

    def __init__(self) -> None:
        self.number = next(_numbers)
        self.replies: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self.finished = threading.Event()  # by done, error, or the process's end


class Child:
    """A running engine process. `gone` is set when it has ended, and `cause` then says why.

    It imports what its engine will need, and loads the engine when `begin` is called, now or long after.
    start: the message that `begin` sends; its factory and python_path are needed at once.
    Make it in a thread that outlives it: Linux ends the process together with that thread. Raises OSError.
    """

    def __init__(self, python: str, start: Message, frame: FrameMemory, *, offline: bool = True) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [
                    python,
                    "-c",
                    _BOOTSTRAP,
                    str(_PACKAGE),
                    str(theirs.fileno()),
                    str(frame.descriptor),
                    str(os.getpid()),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(theirs.fileno(), frame.descriptor),
                env=environment(python, offline=offline),
            )
        self.pid = self._process.pid
        self.cause = ""
        self.memory = 0
        self.gone = threading.Event()
        self.answered = threading.Event()  # ready, failed or gone
        self.ready: Message | None = None
        self.failed: Message | None = None
        self.last_beat = time.monotonic()
        self._channel = Channel(ours)
        self._requests: dict[int, Request] = {}
        self._dropped: deque[Request] = deque()
        self._lock = threading.Lock()
        self._output: deque[str] = deque(maxlen=40)
        assert self._process.stdout is not None
        self._reading_output = threading.Thread(
            target=self._read_output, args=(self._process.stdout,), name="engine-output", daemon=True
        )
        self._reading_output.start()
        self._reading = threading.Thread(target=self._read, name="engine-reader", daemon=True)
        self._reading.start()
        self._tell({**start, "type": "prepare"})

    def begin(self, start: Message) -> None:
        """Load the engine. `answered` is set when that is over."""
        self._tell({**start, "type": "start"})

    def ask(self, message: Message) -> Request:
        """Send a request. Its replies end with done, error, or {"type": "gone"} if the process ends before."""
        self.cancel_dropped()
        request = Request()
        with self._lock:
            if self.gone.is_set():
                request.replies.put({"type": "gone"})
                return request
            self._requests[request.number] = request
        self._tell({**message, "id": request.number})
        return request

    def drop(self, request: Request) -> None:
        """Cancel it soon. Takes no lock: for `__del__`, which may run in the middle of anything, a send included."""
        self._dropped.append(request)

    def cancel_dropped(self) -> None:
        """Send the cancels of what was dropped."""
        while self._dropped:
            with suppress(IndexError):  # another thread took the last one
                self.cancel(self._dropped.popleft())

    def cancel(self, request: Request) -> None:
        """Have it stop at the next token; nothing happens if it has ended."""
        if not request.finished.is_set():
            self._tell({"type": "cancel", "id": request.number})

    def abandon(self, request: Request, grace: float) -> None:
        """Cancel a request that nobody waits for; kill the process if it has not stopped `grace` seconds later."""
        self.cancel(request)

        def kill_if_stuck() -> None:
            if not request.finished.wait(grace):
                self.kill(f"it did not stop {grace:g} s after the deadline")

        threading.Thread(target=kill_if_stuck, name="engine-grace", daemon=True).start()

    def kill(self, cause: str) -> None:
        """End it now; `gone` follows. The first cause given is the one that counts."""
        with self._lock:
            self.cause = self.cause or cause
        self._process.kill()

    def close(self, patience: float = 1.0) -> None:
        """Hang up, kill if that does not help, and wait until nothing of it is left."""
        with self._lock:
            self.cause = self.cause or "closed"
        self._channel.close()
        if not self.gone.wait(patience):
            self._process.kill()
            self.gone.wait()
        self._reading.join()
        self._reading_output.join(timeout=1.0)  # what it has started itself may live on and hold the pipe

    def _tell(self, message: Message) -> None:
        with suppress(OSError):  # it has died; `_read` finds out why, and ends the requests
            self._channel.send(message)

    def _read(self) -> None:
        try:
            while (message := self._channel.receive()) is not None:
                self._heed(message)
        except (KeyError, TypeError, ValueError):
            logger.exception("engine process %d: not a message", self.pid)
        finally:
            self._end()  # whatever came: nobody may wait for more

    def _heed(self, message: Message) -> None:
        kind = message["type"]
        if kind == "beat":
            self.last_beat, self.memory = time.monotonic(), int(message["memory"])
        elif kind in ("ready", "failed"):
            self.last_beat = time.monotonic()
            self.ready, self.failed = (message, None) if kind == "ready" else (None, message)
            self.answered.set()
        else:
            self._deliver(message)

    def _deliver(self, message: Message) -> None:
        last = message["type"] in ("done", "error")
        with self._lock:
            request = self._requests.pop(message["id"], None) if last else self._requests.get(message["id"])
        if request is not None:
            if last:
                request.finished.set()
            request.replies.put(message)

    def _end(self) -> None:
        """The socket is closed: reap the process, find the cause, tell everyone who waits."""
        try:
            status = self._process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:  # it lives on
            self.kill("it hung up, or sent what is no message")
            status = self._process.wait()
        self._reading_output.join(timeout=1.0)
        self._channel.close()
        with self._lock:
            self.cause = self.cause or describe_exit(status, list(self._output))
            requests = list(self._requests.values())
            self._requests.clear()
            self.gone.set()
        self.answered.set()
        for request in requests:
            request.finished.set()
            request.replies.put({"type": "gone"})

    def _read_output(self, stream: IO[bytes]) -> None:
        with stream:
            for line in stream:
                text = line.decode(errors="replace").rstrip()
                self._output.append(text)
                logger.debug("engine process %d: %s", self._process.pid, text)


def describe_exit(status: int, output: list[str]) -> str:
    """One line: how a process ended, with the line that says most.

    status: as subprocess gives it, negative for a signal.
    """
    if -status == signal.SIGKILL:  # nobody can write anything on that
        return "killed by SIGKILL (perhaps for want of memory)"
    how = f"killed by {_signal_name(-status)}" if status < 0 else f"ended with status {status}"
    lines = [line.strip() for line in output if line.strip()]
    fatal = [line for line in lines if line.startswith("Fatal Python error")]  # a stack follows it
    return f"{how}: {(fatal or lines)[-1]}" if lines else how


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # most real-time signals have no name
        return f"signal {number}"


def environment(python: str, *, offline: bool) -> dict[str, str]:
    """The process's environment.

    The same interpreter gets this process's own: ROS's wheels have set the library path in it, and the mark that they
    did keeps them from starting Python a second time. Another interpreter must not find this one's libraries.
    """
    env = dict(os.environ)
    env["TOKENIZERS_PARALLELISM"] = "false"
    # By default OpenMP's threads spin while they wait; beside a camera and a simulator that costs the model ten times
    # more than sleeping does.
    env.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if offline:
        env["HF_HUB_OFFLINE"] = env["TRANSFORMERS_OFFLINE"] = "1"
    if Path(python) == Path(sys.executable):
        return env
    for name in ("_ROS_WHEELS_BOOTSTRAP_COMPLETE", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"):
        env.pop(name, None)
    parts = [part for part in env.pop("LD_LIBRARY_PATH", "").split(os.pathsep) if part]
    kept = [part for part in parts if not Path(part).is_relative_to(sys.prefix)]
    if kept:
        env["LD_LIBRARY_PATH"] = os.pathsep.join(kept)
    return env
