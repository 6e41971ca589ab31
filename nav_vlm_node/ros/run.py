"""A process that runs nodes until SIGINT or SIGTERM, and then ends in order: questions answered, no child left."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Sequence
from types import FrameType

import rclpy
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import try_shutdown

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
        spin_until(nodes, stop)
    finally:
        try_shutdown()
    return 0


def spin_until(nodes: Sequence[Node], stop: threading.Event) -> None:
    """Spin `nodes` until `stop` is set, then stop and destroy them."""
    executor = MultiThreadedExecutor(num_threads=THREADS)
    for node in nodes:
        executor.add_node(node)

    def spin() -> None:
        try:
            executor.spin()
        except ExternalShutdownException:
            stop.set()

    spinning = threading.Thread(target=spin, name="executor", daemon=True)
    spinning.start()
    stop.wait()
    for node in nodes:
        end = getattr(node, "stop", None)
        if end is not None:
            end()
    executor.shutdown(timeout_sec=2.0)
    spinning.join(2.0)
    for node in nodes:
        node.destroy_node()


def main_of(make: Callable[[], Sequence[Node]]) -> int:
    """What an executable of this package does: run, or say in one line why not (exit status 2)."""
    try:
        return run_nodes(make, sys.argv)
    except UserError as error:
        print(f"{sys.argv[0].rsplit('/', 1)[-1]}: error: {error}", file=sys.stderr)
        return 2
