"""Fixtures for tests that put nodes on a real ROS graph: each test has a domain of its own, and waits for events.

`ros_domain` gives a ROS_DOMAIN_ID that no other test of this run uses at the same time, also under xdist; `ros` gives a
`Graph`: a context, an executor that spins on its own thread, and helpers that wait until something is so.
"""

from __future__ import annotations

import itertools
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from nav_vlm_node.ros.domains import claim_domain

T = TypeVar("T")
DOMAINS = range(1, 100)  # not 0, where a developer's ROS may be; above 101 the ports meet those that Linux hands out
PATIENCE = 60.0  # seconds until a test that waits gives up; passing tests never come near it


@pytest.fixture
def ros_domain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[int]:
    """A domain that nobody else on this machine uses, no worker of this run and no other run; children inherit it."""
    claim, domain = free_domain()
    monkeypatch.setenv("ROS_DOMAIN_ID", str(domain))
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    monkeypatch.setenv("ROS_LOG_DIR", str(tmp_path / "ros_log"))
    with claim:
        yield domain


def free_domain() -> tuple[socket.socket, int]:
    """A free domain, and the socket that keeps other tests from it until it is closed."""
    first = (os.getpid() * 7 + next(_counter)) % len(DOMAINS)
    claimed = claim_domain((*DOMAINS[first:], *DOMAINS[:first]))
    assert claimed, "every ROS domain from 1 to 99 is in use on this machine"
    return claimed


_counter = itertools.count()


class Graph:
    """Nodes of one test on one context, spun by a thread."""

    def __init__(self, domain: int) -> None:
        import rclpy
        from rclpy.context import Context

        from nav_vlm_node.ros.run import Spinner

        self.domain = domain
        self.context = Context()
        rclpy.init(context=self.context, domain_id=domain)
        self._spinner = Spinner(self.context)
        self._changed = threading.Condition()

    def add(self, node: Any) -> Any:
        """Spin `node` from now on, and destroy it at the end."""
        self._spinner.add(node)
        return node

    def node(self, name: str, **arguments: Any) -> Any:
        """A plain node on this graph."""
        import rclpy

        return self.add(rclpy.create_node(name, context=self.context, **arguments))

    def collect(self, node: Any, message_type: Any, topic: str, qos: Any = 10) -> list[Any]:
        """A list that grows with every message on `topic`; `until` wakes with it."""
        received: list[Any] = []

        def take(message: Any) -> None:
            with self._changed:
                received.append(message)
                self._changed.notify_all()

        node.create_subscription(message_type, topic, take, qos)
        return received

    def changed(self) -> None:
        """Let `until` look again."""
        with self._changed:
            self._changed.notify_all()

    def until(self, condition: Callable[[], T], what: str = "", patience: float = PATIENCE) -> T:
        """Wait until `condition()` is true and return what it gave; fails the test otherwise.

        Woken by messages and by `changed`; discovery has no callback and is looked at 50 times a second.
        """
        end = time.monotonic() + patience
        with self._changed:
            while not (result := condition()):
                if time.monotonic() > end:
                    pytest.fail(f"waited {patience:g} s for {what or condition}")
                self._changed.wait(0.02)
        return result

    def result(self, future: Any, what: str = "", patience: float = PATIENCE) -> Any:
        """The result of an rclpy future."""
        future.add_done_callback(lambda _: self.changed())
        self.until(future.done, what or "a future", patience)
        return future.result()

    def asked(self, node: Any, ask: Callable[[], Any], what: str = "") -> Any:
        """The result of the future that `ask` makes, where rclpy's action client is asked; see `on_executor`."""
        from nav_vlm_node.ros.futures import on_executor

        return self.result(self.result(on_executor(node, ask), what), what)

    def call(self, node: Any, service_type: Any, name: str, request: Any, patience: float = PATIENCE) -> Any:
        """The response of a service."""
        client = node.create_client(service_type, name)
        self.until(client.service_is_ready, f"service {name}", patience)
        response = self.result(client.call_async(request), f"the response of {name}", patience)
        node.destroy_client(client)
        return response

    def close(self) -> None:
        """Stop what has a `stop`, then everything."""
        import rclpy

        self._spinner.close()
        rclpy.shutdown(context=self.context)


@pytest.fixture
def ros(ros_domain: int) -> Iterator[Graph]:
    """A graph of this test's own."""
    graph = Graph(ros_domain)
    yield graph
    graph.close()
