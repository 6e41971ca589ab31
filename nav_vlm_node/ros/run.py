"""A process that runs nodes until SIGINT or SIGTERM, and then ends in order: questions answered, no child left."""

from __future__ import annotations

import logging
import re
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any, Protocol

import rclpy
from rclpy.context import Context
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation as rcl
from rclpy.impl.logging_severity import LoggingSeverity
from rclpy.logging import get_logger_effective_level, set_logger_level
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import get_default_context, try_shutdown

from nav_vlm_node.errors import UserError
from nav_vlm_node.ros.middleware import allow_large_images, check_domain

STOPPED = "stopped"  # the fault of a node that was asked to end


def run_nodes(
    make: Callable[[], Sequence[Node]], arguments: list[str] | None = None, *, ended: threading.Event | None = None
) -> int:
    """Initialise rclpy, make the nodes, spin them until a signal (or `ended`); returns the exit status.

    The executor spins on another thread, so that the signal's handler runs at once and nodes that have a `stop` can
    still publish. Raises UserError for ROS arguments and parameters that cannot be.
    """
    stop = ended or threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # a terminal that is closed, but for what nohup started
        signal.signal(signal.SIGHUP, on_signal)
    allow_large_images()
    _init(arguments)
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


def _init(arguments: list[str] | None) -> None:
    """rclpy.init; what is wrong with the ROS arguments is a UserError, and not a line of rcl's log as well."""
    check_domain()
    set_logger_level("rcl", LoggingSeverity.FATAL)
    try:
        rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
    except rcl.UnknownROSArgsError as error:
        raise UserError(f"unknown ROS arguments: {error}; correct what stands after --ros-args") from None
    except rcl.RCLError as error:
        why = re.sub(r", at \S+:\d+", "", " ".join(str(error).split()))  # lines of rcl's own source
        remedy = "; set ROS_LOG_DIR to a folder that can be written to" if "log directory" in why else ""
        raise UserError(f"ROS 2 does not start: {why}{remedy}") from None
    finally:
        if get_logger_effective_level("rcl") == LoggingSeverity.FATAL:  # the arguments did not set it
            set_logger_level("rcl", LoggingSeverity.UNSET)


class Spinner:
    """Spins each node on a thread and an executor of its own: no node waits for another's callbacks.

    rclpy's MultiThreadedExecutor costs about twice the processor time for a 30 Hz camera and drops pictures when the
    machine is busy. A callback that raises is logged and the others go on, where rclpy's own loop would end.
    `close` stops the nodes that have a `stop` while everything still spins, then the spinning, then destroys the nodes.
    """

    def __init__(self, context: Context | None = None) -> None:
        self._context = context or get_default_context()
        self._spun: list[tuple[Node, SingleThreadedExecutor, threading.Thread]] = []
        self._ending = threading.Event()

    def add(self, node: Node) -> None:
        """Spin `node` from now on."""
        executor = SingleThreadedExecutor(context=self._context)
        executor.add_node(node)
        thread = threading.Thread(target=self._spin, args=(executor,), name=f"spin {node.get_name()}", daemon=True)
        self._spun.append((node, executor, thread))
        thread.start()

    def close(self) -> None:
        """Idempotent."""
        spun, self._spun = self._spun, []
        for node, _, _ in spun:
            stop = getattr(node, "stop", None)
            if stop is not None:
                stop()
        self._ending.set()
        for node, executor, thread in spun:
            executor.create_task(lambda: None)  # something to do, or it would go on waiting for something
            thread.join(5.0)
            executor.shutdown(timeout_sec=1.0)
            node.destroy_node()

    def _spin(self, executor: SingleThreadedExecutor) -> None:
        while not self._ending.is_set() and self._context.ok():
            try:
                executor.spin_once()
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


class Ending(Protocol):
    """A node that ends by itself. fault: why it was too early, "stopped" where somebody asked for it, "" if not."""

    fault: str


def main_of_one(name: str, make: Callable[[threading.Event], Ending], arguments: list[str]) -> int:
    """What an executable does whose one node ends by itself: it sets the event that `make` gets.

    Returns the exit status: 1 after one line where the node ended too early, 2 for parameters that cannot be.
    """
    ended = threading.Event()
    made: list[Any] = []

    def nodes() -> list[Any]:
        made.append(make(ended))
        return made

    try:
        status = run_nodes(nodes, arguments, ended=ended)
    except UserError as error:
        print(f"{name}: error: {error}", file=sys.stderr)
        return 2
    if made[0].fault and made[0].fault != STOPPED:
        print(f"{name}: error: {made[0].fault}", file=sys.stderr)
        return 1
    return status
