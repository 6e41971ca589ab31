"""Waiting for another thread inside an rclpy coroutine, without holding a thread of the executor."""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import Future as ThreadFuture
from typing import TypeVar

from rclpy.node import Node
from rclpy.task import Future

T = TypeVar("T")


def awaitable(node: Node, future: ThreadFuture[T]) -> Future:
    """An rclpy future that is done when `future` is, with `future` as its result; wakes the node's executor."""
    waiting = Future()

    def done(finished: ThreadFuture[T]) -> None:
        waiting.set_result(finished)
        wake(node)

    future.add_done_callback(done)
    return waiting


def wake(node: Node) -> None:
    """Let the node's executor look at its coroutines again."""
    executor = node.executor
    if executor is not None:
        executor.wake()


def on_executor(node: Node, call: Callable[[], T]) -> Future:
    """Make `call` on the thread that spins `node`, between two of its callbacks; the future has what it returned.

    An rclpy ActionClient must be asked so from other threads: it sends a goal before it notes that it did (rclpy 7.1),
    and an answer that the executor takes in between is dropped ("Ignoring unexpected goal response").
    """
    assert node.executor is not None, "the node is not spun yet"
    return node.executor.create_task(call)


class OnceMore:
    """`await OnceMore()` lets the executor do everything else that is ready."""

    def __await__(self) -> Generator[None, None, None]:
        yield
