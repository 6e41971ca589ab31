"""`SupervisedEngine`: an engine in a process of its own, watched and started again when it fails.

A model that hangs, runs out of memory or loses its CUDA context takes only that process with it. The call in progress
gets an EngineError with the cause, calls meanwhile get EngineUnavailable, and a new process is started in the
background, after a pause that doubles with each failure in a row. Most of a start is importing torch and transformers;
a spare process that has done so waits in reserve, so that the wearer is without a guide for a moment only.
"""

from __future__ import annotations

import logging
import queue
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nav_vlm_node.errors import UserError
from nav_vlm_node.view import View
from nav_vlm_node.vlm.card import read_model_card
from nav_vlm_node.vlm.child import Child, Request
from nav_vlm_node.vlm.protocol import (
    MAX_NEW_TOKENS,
    EngineCancelled,
    EngineCrashed,
    EngineDeadline,
    EngineInfo,
    EngineUnavailable,
    Token,
    VisualTokens,
    VisualTokensExpired,
)
from nav_vlm_node.vlm.wire import FrameMemory, Message, error_from_message

logger = logging.getLogger(__name__)

CANCEL_POLL = 0.01  # seconds; a threading.Event and a queue cannot be waited for together
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0  # seconds before a start after a failure
SPARE_AFTER = 5.0  # seconds after a start; whoever needs the engine for less than that needs no spare
STEADY = 30.0  # seconds that a process must be ready for the next failure to count as a first one


@dataclass(frozen=True, kw_only=True)
class Limits:
    """All in seconds. deadline: of a call that names no timeout. grace: after a deadline, for the process to stop by
    itself (at its next token) before it is killed. heartbeat: silence after which it is killed. start: for loading."""

    deadline: float = 60.0
    grace: float = 3.0
    heartbeat: float = 10.0
    start: float = 300.0


@dataclass(frozen=True, kw_only=True)
class EngineStatus:
    """For diagnostics. state: "starting", "ready", "restarting" or "closed". cause: why the process before this one
    ended, "" if none did. memory: bytes, resident and on the GPU. start_seconds: what the last start took."""

    state: str
    pid: int | None
    restarts: int
    cause: str
    memory: int
    start_seconds: float


@dataclass(frozen=True)
class SupervisedVisual(VisualTokens):
    """Which image of which life of the process."""

    child: Child
    number: int


class SupervisedEngine:
    """The `Engine` protocol, served by a child process. Thread-safe; requests are answered in order.

    The constructor returns when the model is loaded. It takes what `load.load_engine` does, and

    python: another interpreter for the process (ROS's Python need not be the model's); it needs torch and
        transformers, nothing of this environment.
    spare: keep a second process in reserve, some 0.3 GB of memory; recovery then takes the loading time alone.

    Raises UserError if the model cannot be loaded, EngineUnavailable if the process does not come up.
    """

    def __init__(
        self,
        model: str | Path,
        adapter: str = "default",
        device: str = "auto",
        dtype: str = "auto",
        *,
        allow_download: bool = False,
        python: str | None = None,
        limits: Limits | None = None,
        spare: bool = True,
    ) -> None:
        if not allow_download:
            read_model_card(Path(model).expanduser())  # what is wrong with the files is said at once, without torch
        arguments = {
            "model": str(model), "adapter": adapter, "device": device, "dtype": dtype, "allow_download": allow_download,
        }  # fmt: skip
        self._begin("nav_vlm_node.vlm.load:load_engine", arguments, (), not allow_download, python, limits, spare)

    @classmethod
    def from_factory(
        cls,
        factory: str,
        arguments: Mapping[str, Any],
        *,
        python_path: Sequence[str] = (),
        python: str | None = None,
        limits: Limits | None = None,
        spare: bool = False,
    ) -> SupervisedEngine:
        """Any engine: factory is "package.module:function", arguments are JSON-ready keyword arguments.

        python_path: directories that the process appends to sys.path.
        """
        engine = cls.__new__(cls)
        engine._begin(factory, arguments, python_path, True, python, limits, spare)
        return engine

    def _begin(
        self,
        factory: str,
        arguments: Mapping[str, Any],
        python_path: Sequence[str],
        offline: bool,
        python: str | None,
        limits: Limits | None,
        spare: bool,
    ) -> None:
        self._start: Message = {"factory": factory, "arguments": dict(arguments), "adapter": None}
        self._start["python_path"] = list(python_path)
        self._python = python or sys.executable
        self._offline = offline
        self._limits = limits or Limits()
        self._wants_spare = spare
        self._spare: Child | None = None  # the supervisor thread's alone
        self._frame = FrameMemory.create()
        self._framing = threading.Lock()  # one frame is in the shared memory at a time
        self._change = threading.Condition()  # guards what follows
        self._child: Child | None = None  # ready for requests
        self._info: EngineInfo | None = None
        self._status = EngineStatus(state="starting", pid=None, restarts=0, cause="", memory=0, start_seconds=0.0)
        self._failure: Exception | None = None
        self._closing = threading.Event()
        self._supervisor = threading.Thread(target=self._supervise, name="engine-supervisor", daemon=True)
        self._supervisor.start()
        with self._change:
            self._change.wait_for(lambda: self._child is not None or self._failure is not None)
        self._raise_failure()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            self.close()
            raise self._failure

    @property
    def info(self) -> EngineInfo:
        assert self._info is not None
        return self._info

    @property
    def status(self) -> EngineStatus:
        """How the process is now."""
        with self._change:
            if self._child is not None and self._child.gone.is_set():  # the supervisor has not come to it yet
                return replace(self._status, state="restarting", pid=None, cause=self._child.cause)
            return replace(self._status, memory=self._child.memory if self._child is not None else 0)

    def wait_ready(self, timeout: float | None = None) -> bool:
        """Wait until calls can be made; False if that took longer than timeout seconds."""
        with self._change:
            return self._change.wait_for(lambda: self._child is not None and not self._child.gone.is_set(), timeout)

    def encode(self, image: npt.NDArray[np.uint8], *, timeout: float | None = None) -> SupervisedVisual:
        end = self._end(timeout)
        view = self.info.view
        if image.shape != (view.height, view.width, 3) or image.dtype != np.uint8:
            raise UserError(
                f"the image is {image.dtype} {image.shape}, the model wants uint8 {(view.height, view.width, 3)}: "
                "rectify it to the model's view first"
            )
        child = self._ready_child()
        if not self._framing.acquire(timeout=max(0.0, end - time.monotonic())):
            raise EngineDeadline("other images were waiting")
        try:
            self._frame.array(image.shape)[...] = image
            request = child.ask({"type": "encode", "shape": list(image.shape)})
            self._last_reply(child, request, end)
        finally:
            self._framing.release()
        return SupervisedVisual(child, request.number)

    def stream(
        self,
        visual: VisualTokens,
        query: str,
        *,
        max_new_tokens: int = MAX_NEW_TOKENS,
        cancel: threading.Event | None = None,
        timeout: float | None = None,
    ) -> Iterator[Token]:
        """As in `Engine`; the process begins at once, and what it refuses is raised by the first `next`."""
        end = self._end(timeout)
        child = self._ready_child()
        if not isinstance(visual, SupervisedVisual) or visual.child is not child:
            raise VisualTokensExpired("the engine was started again since the image was encoded: encode again")
        message = {"type": "stream", "visual": visual.number, "query": query, "max_new_tokens": max_new_tokens}
        return _Answer(self, child, child.ask(message), cancel, end)

    def set_adapter(self, name: str) -> None:
        child = self._ready_child()
        request = child.ask({"type": "adapter", "name": name})
        reply = self._last_reply(child, request, self._end(None))
        with self._change:
            self._info = _info(reply["info"])
            self._start["adapter"] = name  # a new process takes up where this one was

    def close(self) -> None:
        self._closing.set()
        with self._change:
            if self._child is not None:
                self._child.kill("closed")
        self._supervisor.join()
        with self._change:
            if self._status.state != "closed":
                self._status = replace(self._status, state="closed", pid=None)
                self._frame.close()

    def _ready_child(self) -> Child:
        child, status = self._child, self.status
        if child is None or child.gone.is_set():
            raise EngineUnavailable(f"the engine is {status.state}" + (f" ({status.cause})" if status.cause else ""))
        return child

    def _end(self, timeout: float | None) -> float:
        return time.monotonic() + (self._limits.deadline if timeout is None else timeout)

    def _last_reply(self, child: Child, request: Request, end: float) -> Message:
        reply = self._reply(child, request, None, end)
        if reply["type"] == "error":
            raise error_from_message(reply)
        return reply

    def _reply(self, child: Child, request: Request, cancel: threading.Event | None, end: float) -> Message:
        """The next reply to a request. Raises EngineCancelled, EngineDeadline, EngineCrashed."""
        while True:
            if cancel is not None and cancel.is_set():
                child.abandon(request, self._limits.deadline)
                raise EngineCancelled("canceled by the caller")
            left = end - time.monotonic()
            try:
                reply = request.replies.get(timeout=max(0.0, left if cancel is None else min(left, CANCEL_POLL)))
            except queue.Empty:
                if time.monotonic() >= end:
                    child.abandon(request, self._limits.grace)
                    raise EngineDeadline("the engine did not answer within the time allowed") from None
                continue
            if reply["type"] == "gone":
                if self._closing.is_set():
                    raise EngineUnavailable("the engine is closed")
                raise EngineCrashed(f"the engine process was lost: {child.cause}")
            return reply

    def _supervise(self) -> None:
        """The life of the supervisor thread: start a process, watch it, and again. All processes are started here,
        since Linux ends a child with the thread that started it."""
        try:
            self._start_again_and_again()
        finally:
            if self._spare is not None:
                self._spare.close()

    def _start_again_and_again(self) -> None:
        failures = 0
        while not self._closing.is_set():
            began = time.monotonic()
            failure, served = self._live(began)
            with self._change:
                self._child = None
                if self._closing.is_set():
                    return
                logger.error("engine process: %s", failure)
                restarts = self._status.restarts + 1
                self._status = replace(
                    self._status, state="restarting", pid=None, cause=str(failure), restarts=restarts
                )
                if self._info is None:  # never came up: the caller is told, and decides
                    self._failure = failure
                    self._change.notify_all()
                    return
            failures = 0 if served > STEADY else failures + 1
            self._closing.wait(min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** max(0, failures - 1)))

    def _live(self, began: float) -> tuple[Exception, float]:
        """One process from start to end; returns why it ended, and for how long it was ready [s]."""
        child, self._spare = self._spare, None
        try:
            if child is None or child.gone.is_set():
                child = self._new_child()
        except OSError as error:
            return UserError(f"the engine's Python {self._python} cannot be started: {error.strerror}"), 0.0
        child.begin(self._start)
        served = 0.0
        try:
            came_up = self._come_up(child, began)
            if came_up:
                ready = time.monotonic()
                self._watch(child)
                served = time.monotonic() - ready
        finally:
            child.close()
        if child.failed is not None:
            return error_from_message(child.failed), served
        cause = child.cause if came_up else f"the engine process did not start: {child.cause}"
        return EngineUnavailable(cause), served

    def _come_up(self, child: Child, began: float) -> bool:
        while not child.answered.wait(0.1):
            if self._closing.is_set():
                return False
            if time.monotonic() - began > self._limits.start:
                child.kill(f"it did not come up within {self._limits.start:g} s")
        if child.ready is None:
            return False
        with self._change:
            self._info = _info(child.ready["info"])
            self._child = child
            seconds = time.monotonic() - began
            self._status = replace(self._status, state="ready", pid=child.pid, start_seconds=seconds)
            self._change.notify_all()
        logger.info("engine process %d is ready after %.1f s", child.pid, seconds)
        return True

    def _new_child(self) -> Child:
        return Child(self._python, self._start, self._frame, offline=self._offline)

    def _watch(self, child: Child) -> None:
        spare_at = time.monotonic() + SPARE_AFTER
        while not child.gone.wait(0.25):
            if self._closing.is_set():
                return
            child.cancel_dropped()
            if self._wants_spare and self._spare is None and time.monotonic() > spare_at:
                with suppress(OSError):
                    self._spare = self._new_child()
            if (silent := time.monotonic() - child.last_beat) > self._limits.heartbeat:
                child.kill(f"no heartbeat for {silent:.1f} s")
                return  # its socket may be held open by what it has started: whoever closes `child` hangs up


class _Answer(Iterator[Token]):
    """The tokens of one answer as they arrive; stops the generation when it is closed or dropped."""

    def __init__(
        self, engine: SupervisedEngine, child: Child, request: Request, cancel: threading.Event | None, end: float
    ) -> None:
        self._engine = engine
        self._child = child
        self._request = request
        self._cancel = cancel
        self._end = end
        self._over = False

    def __next__(self) -> Token:
        if self._over:
            raise StopIteration
        self._over = True  # unless a token came
        reply = self._engine._reply(self._child, self._request, self._cancel, self._end)
        if reply["type"] == "error":
            raise error_from_message(reply)
        if reply["type"] == "done":
            raise StopIteration
        self._over = False
        return Token(str(reply["text"]), float(reply["probability"]))

    def close(self) -> None:
        """Stop the generation at its next token."""
        self._over = True
        self._child.cancel(self._request)

    def __del__(self) -> None:
        self._child.drop(self._request)


def _info(data: Mapping[str, Any]) -> EngineInfo:
    return EngineInfo(**{**data, "view": View.from_json(data["view"]), "adapters": tuple(data["adapters"])})
