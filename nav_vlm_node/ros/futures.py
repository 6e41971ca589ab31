"""Waiting for another thread inside an rclpy coroutine, without holding a thread of the executor."""

from __future__ import annotations

from collections.abc import Generator
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


class OnceMore:
    """`await OnceMore()` lets the executor do everything else that is ready."""

    def __await__(self) -> Generator[None, None, None]:
        yield
