"""As much of protobuf's wire format as Gazebo Classic's messages need: https://protobuf.dev/programming-guides/encoding"""

from __future__ import annotations

import struct
from collections.abc import Iterable

Field = tuple[int, "int | float | bytes | str"]
VARINT, DOUBLE, BYTES, FLOAT = 0, 1, 2, 5


def encode(fields: Iterable[Field]) -> bytes:
    """A message of these (number, value): int as varint, float as double, bytes and str with their length."""
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += varint(number << 3 | VARINT) + varint(value & (1 << 64) - 1)
        elif isinstance(value, float):
            out += varint(number << 3 | DOUBLE) + struct.pack("<d", value)
        else:
            data = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | BYTES) + varint(len(data)) + data
    return out


def varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def decode(data: bytes) -> dict[int, list[int | float | bytes]]:
    """The values of a message by field number, in their order. Raises ValueError for what is no message."""
    found: dict[int, list[int | float | bytes]] = {}
    at = 0
    while at < len(data):
        key, at = _read_varint(data, at)
        value: int | float | bytes
        if key & 7 == VARINT:
            value, at = _read_varint(data, at)
        else:
            if key & 7 == BYTES:
                size, at = _read_varint(data, at)
            elif key & 7 in (DOUBLE, FLOAT):
                size = 8 if key & 7 == DOUBLE else 4
            else:
                raise ValueError(f"wire type {key & 7}")
            chunk, at = data[at : at + size], at + size
            if len(chunk) < size:
                raise ValueError("the message ends within a field")
            value = chunk if key & 7 == BYTES else struct.unpack("<d" if size == 8 else "<f", chunk)[0]
        found.setdefault(key >> 3, []).append(value)
    return found


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise ValueError("the message ends within a number")
        value |= (data[at] & 0x7F) << shift
        at += 1
        if data[at - 1] < 0x80:
            return value, at
    raise ValueError("a number of more than ten bytes")
