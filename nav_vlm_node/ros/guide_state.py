"""Whether `nav_vlm` is ready, for nodes that begin only then."""

from __future__ import annotations

import threading
import time

from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import GetState
from rclpy.node import Node

from nav_vlm_node.errors import UserError

LOADING = 300.0  # seconds that the node may take to become active
REPLY = 2.0  # seconds for it to say how it is
AGAIN = 0.1  # seconds between two questions


class GuideState:
    """Asks the service `nav_vlm/get_state` in the namespace of a node that somebody else spins."""

    def __init__(self, node: Node) -> None:
        self._client = node.create_client(GetState, "nav_vlm/get_state")

    def await_active(self, stop: threading.Event, patience: float = LOADING) -> None:
        """Returns when the node is active, or `stop` is set. Raises UserError after `patience` seconds."""
        end = time.monotonic() + patience
        while not stop.is_set():
            if time.monotonic() > end:
                raise UserError(f"{self._client.srv_name} is not active after {patience:g} s; start nav_vlm")
            if self._client.service_is_ready() and self._is_active():
                return
            stop.wait(AGAIN)

    def _is_active(self) -> bool:
        future, done = self._client.call_async(GetState.Request()), threading.Event()
        future.add_done_callback(lambda _: done.set())
        return done.wait(REPLY) and bool(future.result().current_state.id == State.PRIMARY_STATE_ACTIVE)
