"""A process that runs nodes until SIGINT or SIGTERM, and then ends in order: questions answered, no child left."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from types import FrameType

import rclpy
from rclpy.context import Context
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import get_default_context, try_shutdown

from nav_vlm_node.errors import UserError
from nav_vlm_node.ros.middleware import allow_large_images

THREADS = 4  # quick callbacks, transitions that load, set_adapter, and one spare


def run_nodes(
    make: Callable[[], Sequence[Node]], arguments: list[str] | None = None, *, ended: threading.Event | None = None
) -> int:
    """Initialise rclpy, make the nodes, spin them until a signal (or `ended`); returns the exit status.

    The executor spins on another thread, so that the signal's handler runs at once and nodes that have a `stop` can
    still publish. Raises UserError for parameters that cannot be.
    """
    stop = ended or threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    allow_large_images()
    rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
    try:
        try:
            nodes = make()
        except (InvalidParameterTypeException, InvalidParameterValueException) as error:
            raise UserError(f"parameter: {' '.join(str(error).split())}") from error
        spinner = Spinner()
        for node in nodes:
            spinner.add(node)
        stop.wait()
        spinner.close()
    finally:
        try_shutdown()
    return 0


class Spinner:
    """Spins nodes on a thread of its own. A callback that raises is logged and the others go on; rclpy's loop ends.

    `close` stops the nodes that have a `stop` while everything still spins, then the spinning, then destroys the nodes.
    """

    def __init__(self, context: Context | None = None, threads: int = THREADS) -> None:
        self.executor = MultiThreadedExecutor(num_threads=threads, context=context)
        self._context = context or get_default_context()
        self._nodes: list[Node] = []
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._spin, name="executor", daemon=True)
        self._thread.start()

    def add(self, node: Node) -> None:
        """Spin `node` from now on."""
        self._nodes.append(node)
        self.executor.add_node(node)

    def close(self) -> None:
        """Idempotent."""
        nodes, self._nodes = self._nodes, []
        for node in nodes:
            stop = getattr(node, "stop", None)
            if stop is not None:
                stop()
        self._ending.set()
        self.executor.wake()
        self._thread.join(5.0)
        # What the pool has taken on must end before the nodes go, or it meets entities that are destroyed.
        pool = getattr(self.executor, "_executor", None)
        if pool is not None and not self._thread.is_alive():
            pool.shutdown(wait=True)
        self.executor.shutdown(timeout_sec=1.0)
        for node in nodes:
            node.destroy_node()

    def _spin(self) -> None:
        while not self._ending.is_set() and self._context.ok():
            try:
                self.executor.spin_once(timeout_sec=0.5)
            except ExternalShutdownException:
                return
            except Exception:
                logging.getLogger(__name__).exception("a callback failed")


def main_of(make: Callable[[], Sequence[Node]]) -> int:
    """What an executable of this package does: run, or say in one line why not (exit status 2)."""
    try:
        return run_nodes(make, sys.argv)
    except UserError as error:
        print(f"{sys.argv[0].rsplit('/', 1)[-1]}: error: {error}", file=sys.stderr)
        return 2
