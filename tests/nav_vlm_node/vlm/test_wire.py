from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nav_vlm_node.errors import UserError
from nav_vlm_node.vlm import protocol
from nav_vlm_node.vlm.wire import FRAME_BYTES, MAX_MESSAGE, Channel, FrameMemory, error_from_message, error_to_message

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture
def ends() -> Iterator[tuple[Channel, Channel, socket.socket]]:
    """Two ends, and the second one's socket."""
    left, right = socket.socketpair()
    one, two = Channel(left), Channel(right)
    yield one, two, right
    one.close()
    two.close()


@given(message=st.dictionaries(st.text(), JSON, max_size=4))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
def test_what_goes_in_comes_out(ends: tuple[Channel, Channel, socket.socket], message: dict[str, object]) -> None:
    ends[0].send(message)
    assert ends[1].receive() == message


def test_messages_of_many_threads_do_not_mix(ends: tuple[Channel, Channel, socket.socket]) -> None:
    text = "x" * 50_000
    threads = [threading.Thread(target=ends[0].send, args=({"id": i, "text": text},)) for i in range(20)]
    for thread in threads:
        thread.start()
    received = [ends[1].receive() for _ in threads]
    for thread in threads:
        thread.join()
    assert sorted(m["id"] for m in received if m is not None and m["text"] == text) == list(range(20))


@pytest.mark.parametrize(
    "bytes_in",
    [
        b"",
        b"\x00",
        struct.pack(">I", 10) + b"{}",
        struct.pack(">I", MAX_MESSAGE + 1),
        struct.pack(">I", 5) + b"hello",
        struct.pack(">I", 2) + b"\xff\xff",
        struct.pack(">I", 2) + b"[]",
        struct.pack(">I", 100_000) + b"[" * 100_000,
    ],
)
def test_end_of_the_line(ends: tuple[Channel, Channel, socket.socket], bytes_in: bytes) -> None:
    ends[2].sendall(bytes_in)
    ends[2].shutdown(socket.SHUT_WR)
    assert ends[0].receive() is None


def test_too_long_a_message_is_not_sent(ends: tuple[Channel, Channel, socket.socket]) -> None:
    with pytest.raises(UserError, match="too long"):
        ends[0].send({"query": "x" * MAX_MESSAGE})
    ends[0].send({"id": 1})
    assert ends[1].receive() == {"id": 1}


def test_sending_to_nobody(ends: tuple[Channel, Channel, socket.socket]) -> None:
    ends[1].close()
    with pytest.raises(OSError):
        ends[0].send({"id": 1})
    assert ends[0].receive() is None


def test_frame_is_shared_not_copied() -> None:
    writer = FrameMemory.create()
    reader = FrameMemory(os.dup(writer.descriptor))
    seen = reader.array((4, 5, 3))
    writer.array((4, 5, 3))[...] = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    assert seen.tolist() == np.arange(60).reshape(4, 5, 3).tolist()
    assert np.shares_memory(seen, reader.array((4, 5, 3)))
    with pytest.raises(UserError, match="too large"):
        writer.array((FRAME_BYTES, 2, 3))
    writer.close()
    reader.close()
    assert seen[3, 4, 2] == 59  # what is held stays


@pytest.mark.parametrize(
    "error",
    [
        UserError("a"),
        protocol.EngineError("b"),
        protocol.EngineCancelled("c"),
        protocol.EngineDeadline("d"),
        protocol.EngineOutOfMemory("e"),
        protocol.VisualTokensExpired("f"),
    ],
)
def test_errors_keep_their_kind(error: Exception) -> None:
    back = error_from_message(error_to_message(error))
    assert type(back) is type(error)
    assert str(back) == str(error)


def test_other_errors_are_the_engines() -> None:
    back = error_from_message(error_to_message(ZeroDivisionError("division by zero\nmore")))
    assert type(back) is protocol.EngineError
    assert str(back) == "ZeroDivisionError: division by zero"
    assert str(error_from_message(error_to_message(protocol.EngineError("")))) == "EngineError"


def test_every_engine_error_can_be_spoken() -> None:
    kinds = [cls for cls in vars(protocol).values() if isinstance(cls, type) and issubclass(cls, protocol.EngineError)]
    assert len(kinds) >= 7
    for kind in kinds:
        assert kind.spoken.endswith(".")
        assert kind.spoken[0].isupper()
