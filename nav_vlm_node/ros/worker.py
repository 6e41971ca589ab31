"""The one thread that talks to the model: loading, answering, switching adapters, one after the other. No ROS here."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class Worker:
    """Runs what is submitted, in order, on one daemon thread: a model that hangs must not keep the process alive."""

    def __init__(self, name: str = "nav_vlm_model") -> None:
        self._jobs: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def closed(self) -> bool:
        """Whether no more jobs are taken."""
        return self._closed

    def submit(self, job: Callable[[], T]) -> Future[T]:
        """`job`'s result or exception, later. A worker that was closed cancels it."""
        future: Future[T] = Future()
        if self._closed:
            future.cancel()
        else:
            self._jobs.put((future, job))
        return future

    def close(self, timeout: float) -> bool:
        """Take no more jobs, and wait for those submitted; False if they did not end within `timeout` seconds."""
        self._closed = True
        self._jobs.put(None)
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            future, call = job
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(call())
            except BaseException as error:  # the thread's border: whoever holds the future gets it
                future.set_exception(error)
            del future, call, job  # or the last job's images live until the next one
