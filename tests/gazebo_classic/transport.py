"""Gazebo Classic's transport, spoken from Python: topics in and out.

Every connection carries frames: eight hex digits of length, then as many bytes. The master is told of topics by packets
(type, message); publishers listen, subscribers connect to them and say so by a packet "sub", and from then on each
frame is a message of the topic. See gazebo/transport/{Connection,ConnectionManager,Publication}.cc and msgs/*.proto.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
from typing import Any

from tests.gazebo_classic.wire import decode, encode

HOST = "127.0.0.1"
PATIENCE = 120.0  # seconds until a test gives up; on a free core Gazebo starts in three

LISTENING = 40.0  # seconds until a topic of ours has a listener


class Closed(Exception):
    """The other side has ended."""


class Connection:
    """A socket that carries frames; writing is safe from any thread."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._lock = threading.Lock()

    def send(self, data: bytes) -> None:
        with self._lock:
            self._socket.sendall(f"{len(data):08x}".encode() + data)

    def send_packet(self, sort: str, message: bytes) -> None:
        self.send(encode([(1, encode([(1, 0), (2, 0)])), (2, sort), (3, message)]))

    def receive(self) -> bytes:
        """Raises Closed."""
        return self._exactly(int(self._exactly(8), 16))

    def receive_packet(self) -> tuple[str, bytes]:
        packet: dict[int, list[Any]] = decode(self.receive())
        return packet[2][0].decode(), packet[3][0]

    def _exactly(self, size: int) -> bytes:
        parts = []
        while size:
            try:
                part = self._socket.recv(min(size, 1 << 20))
            except OSError:
                part = b""
            if not part:
                raise Closed
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


class Publisher:
    """A topic of ours, and who listens to it."""

    def __init__(self) -> None:
        self._listeners: list[Connection] = []
        self._heard = threading.Event()

    def add(self, listener: Connection) -> None:
        self._listeners.append(listener)
        self._heard.set()

    def await_listener(self) -> None:
        """Waits for a first one."""
        assert self._heard.wait(LISTENING), "nobody listens to the topic"

    def publish(self, message: bytes) -> None:
        """To all who listen now."""
        for listener in self._listeners:
            listener.send(message)


class Client:
    """A connection to a Gazebo's master, with the topics that are asked for. Use it as a context manager."""

    def __init__(self, port: int) -> None:
        self._master = Connection(socket.create_connection((HOST, port), PATIENCE))
        self._server = socket.create_server((HOST, 0))
        self._port = int(self._server.getsockname()[1])
        self._open = [self._master]
        self._publishers: dict[str, Publisher] = {}
        self._queues: dict[str, queue.Queue[bytes]] = {}
        self._connected: set[tuple[str, int]] = set()
        for work in (self._serve, self._obey):
            threading.Thread(target=work, daemon=True).start()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()
        for connection in self._open:
            connection.close()

    def subscribe(self, topic: str, sort: str) -> queue.Queue[bytes]:
        """The messages of a topic, as they come."""
        self._queues[topic] = queue.Queue()
        self._master.send_packet("subscribe", self._subscription(topic, sort))
        return self._queues[topic]

    def advertise(self, topic: str, sort: str) -> Publisher:
        """A topic to publish on."""
        self._publishers[topic] = Publisher()
        self._master.send_packet("advertise", encode([(1, topic), (2, sort), (3, HOST), (4, self._port)]))
        return self._publishers[topic]

    def _subscription(self, topic: str, sort: str) -> bytes:
        return encode([(1, topic), (2, HOST), (3, self._port), (4, sort)])

    def _obey(self) -> None:
        """Connects to whoever the master says publishes what is wanted."""
        try:
            while True:
                sort, message = self._master.receive_packet()
                if sort in ("publisher_add", "publisher_advertise", "publisher_subscribe"):
                    self._follow(decode(message))
        except Closed:
            return

    def _follow(self, publish: dict[int, list[Any]]) -> None:
        topic, sort, host = (publish[number][0].decode() for number in (1, 2, 3))
        port = int(publish[4][0])
        if topic not in self._queues or (topic, port) in self._connected or port == self._port:
            return
        self._connected.add((topic, port))
        connection = Connection(socket.create_connection((host, port), PATIENCE))
        self._open.append(connection)
        connection.send_packet("sub", self._subscription(topic, sort))

        def take() -> None:
            try:
                while True:
                    self._queues[topic].put(connection.receive())
            except Closed:
                return

        threading.Thread(target=take, daemon=True).start()

    def _serve(self) -> None:
        """Takes in those who subscribe to our topics."""
        while True:
            try:
                sock, _ = self._server.accept()
            except OSError:
                return
            connection = Connection(sock)
            self._open.append(connection)
            threading.Thread(target=self._welcome, args=(connection,), daemon=True).start()

    def _welcome(self, connection: Connection) -> None:
        try:
            sort, message = connection.receive_packet()
            fields: dict[int, list[Any]] = decode(message)
            publisher = self._publishers.get(fields[1][0].decode()) if sort == "sub" else None
            if publisher is not None:
                publisher.add(connection)
        except Closed:
            return
