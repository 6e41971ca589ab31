"""What goes between the node and the engine process: JSON messages over a socket, frames in shared memory.

A message is four bytes of length (big endian) and that many bytes of JSON; nothing is ever unpickled. The shared
memory has no name, only file descriptors that both sides hold: whoever dies how, the kernel frees it.
"""

from __future__ import annotations

import json
import mmap
import os
import socket
import struct
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt

from nav_vlm_node.errors import UserError
from nav_vlm_node.vlm import protocol
from nav_vlm_node.vlm.protocol import EngineError

MAX_MESSAGE = 1 << 20  # bytes
FRAME_BYTES = 1 << 26  # 64 MiB of address space; pages that no frame touches take no memory
Message = dict[str, Any]

_ERRORS: dict[str, type[EngineError]] = {
    cls.__name__: cls
    for cls in (
        protocol.EngineCancelled,
        protocol.EngineDeadline,
        protocol.EngineOutOfMemory,
        protocol.EngineUnavailable,
        protocol.VisualTokensExpired,
    )
}


class Channel:
    """One end of the socket. Any thread may send; one thread receives."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._sending = threading.Lock()

    def send(self, message: Message) -> None:
        """Raises OSError if the other side is gone."""
        body = json.dumps(message).encode()
        if len(body) > MAX_MESSAGE:
            raise UserError(f"the question is too long ({len(body)} bytes): ask in one sentence")
        with self._sending:
            self._socket.sendall(struct.pack(">I", len(body)) + body)

    def receive(self) -> Message | None:
        """The next message; None when the other side is gone, or sends what is no message."""
        head = self._read(4)
        if head is None or (length := struct.unpack(">I", head)[0]) > MAX_MESSAGE:
            return None
        body = self._read(length)
        try:
            message = None if body is None else json.loads(body)
        except (ValueError, RecursionError):
            return None
        return message if isinstance(message, dict) else None

    def close(self) -> None:
        """Wake whoever is receiving, on both sides, and close."""
        with suppress(OSError):  # the other side was first
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _read(self, count: int) -> bytes | None:
        data = bytearray()
        while len(data) < count:
            try:
                block = self._socket.recv(count - len(data))
            except OSError:
                return None
            if not block:
                return None
            data += block
        return bytes(data)


class FrameMemory:
    """Room for one frame, shared by file descriptor."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._map = mmap.mmap(descriptor, FRAME_BYTES)

    @classmethod
    def create(cls) -> FrameMemory:
        """New memory, zeros."""
        if hasattr(os, "memfd_create"):
            descriptor = os.memfd_create("nav_vlm_frame")
        else:  # not Linux: a file that is deleted already
            with tempfile.TemporaryFile() as file:
                descriptor = os.dup(file.fileno())
        os.ftruncate(descriptor, FRAME_BYTES)
        return cls(descriptor)

    def array(self, shape: Sequence[int]) -> npt.NDArray[np.uint8]:
        """The memory itself, seen as uint8 [H, W, 3]. Raises UserError if the frame is too large."""
        if (size := int(np.prod(shape))) > FRAME_BYTES:
            raise UserError(f"a frame of {tuple(shape)} is too large for the engine: rectify it to the model's view")
        return np.frombuffer(self._map, dtype=np.uint8, count=size).reshape(shape)

    def close(self) -> None:
        """Give the memory back; arrays that are still held keep their pages."""
        with suppress(BufferError):  # an array still points into it; the map goes with the last one
            self._map.close()
        os.close(self.descriptor)


def error_to_message(error: Exception) -> Message:
    """An exception of the engine as a message; anything that is no EngineError or UserError is an EngineError."""
    kind = type(error).__name__ if isinstance(error, (EngineError, UserError)) else EngineError.__name__
    text = str(error) if isinstance(error, (EngineError, UserError)) else f"{type(error).__name__}: {error}"
    lines = text.strip().splitlines() or [type(error).__name__]
    return {"kind": kind, "message": lines[0][:1000]}


def error_from_message(message: Message) -> Exception:
    """The exception that `error_to_message` was given, as far as the caller is concerned."""
    if message.get("kind") == UserError.__name__:
        return UserError(str(message.get("message")))
    return _ERRORS.get(str(message.get("kind")), EngineError)(str(message.get("message")))
