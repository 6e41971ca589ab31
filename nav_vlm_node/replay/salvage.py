"""Bag files that `rosbags` does not read: without an index or an end, damaged, or of another profile.

A damaged file is read from its beginning to where it stops making sense; what comes before that is good.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from nav_vlm_node.errors import UserError
from nav_vlm_node.replay.storages import MAX_TIME, Raw, Topic, one_line, uncompressed

MAX_RECORD = 2**30  # bytes; a record that claims more is damaged
MAGIC = b"\x89MCAP0\r\n"


@dataclass(frozen=True)
class _Place:
    """Where messages lie: in one chunk, or one alone. times: of the first and the last of them."""

    first: int
    last: int
    offset: int
    chunk: bool


class ScannedMcap:
    """An mcap file without index or end, or of another profile: read once from front to back, then by place.

    problem: why reading stopped before the end of the file; "" if it did not. Raises UserError for another file.
    Records: mcap.dev/spec, Header 0x01, Schema 0x03, Channel 0x04, Message 0x05, Chunk 0x06, DataEnd 0x0F.
    """

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("rb")
        self._size = path.stat().st_size
        self._schemas: dict[int, tuple[str, str, str]] = {}
        self._channels: dict[int, tuple[str, int]] = {}
        self._counts: dict[int, int] = {}
        self._places: list[_Place] = []
        self.problem = ""
        if self._file.read(8) != MAGIC:
            self._file.close()
            raise UserError(f"{path.name} is not an mcap file; give a rosbag2 folder, .mcap or .db3")
        self._scan()
        self.topics = [self._topic(number) for number in self._channels]

    def messages(self, names: frozenset[str], start: int | None = None, stop: int | None = None) -> Iterator[Raw]:
        low, high = 0 if start is None else start, MAX_TIME if stop is None else stop
        for place in self._places:
            if place.last < low or place.first >= high:
                continue
            self._file.seek(place.offset)
            code, content = self._record(self._file, self._size)
            inside = self._inside(content) if place.chunk else iter([(code, content)])
            for _, record in (item for item in inside if item[0] == 0x05):
                channel, time = struct.unpack_from("<HxxxxQ", record)
                name = self._channels[channel][0] if channel in self._channels else ""
                if name in names and low <= time < high:
                    yield Raw(name, time, uncompressed(record[22:]))

    def close(self) -> None:
        self._file.close()

    def _topic(self, number: int) -> Topic:
        name, schema = self._channels[number]
        msgtype, encoding, text = self._schemas.get(schema, ("", "", ""))
        return Topic(name, msgtype, text, encoding in ("ros2idl", "omgidl"), self._counts.get(number, 0))

    def _scan(self) -> None:
        while True:
            offset = self._file.tell()
            try:
                code, content = self._record(self._file, self._size)
                if code == 0x06:
                    self._take_chunk(offset, content)
                elif code in (0x02, 0x0F):
                    return
                else:
                    self._take(offset, code, content)
            except Exception as error:  # damaged bytes raise anything; what was read so far is kept
                self.problem = f"damaged or cut off at byte {offset} of {self._size} ({one_line(error)})"
                return

    def _take_chunk(self, offset: int, content: bytes) -> None:
        times = []
        for code, record in self._inside(content):
            if code == 0x05:
                channel, time = struct.unpack_from("<HxxxxQ", record)
                self._counts[channel] = self._counts.get(channel, 0) + 1
                times.append(time)
            else:
                self._take(offset, code, record)
        if times:
            self._places.append(_Place(min(times), max(times), offset, True))

    def _take(self, offset: int, code: int, record: bytes) -> None:
        if code == 0x03:
            (number,), at = struct.unpack_from("<H", record), 2
            name, at = _string(record, at)
            encoding, at = _string(record, at)
            self._schemas[number] = (name, encoding, _string(record, at)[0])
        elif code == 0x04:
            number, schema = struct.unpack_from("<HH", record)
            self._channels[number] = (_string(record, 4)[0], schema)
        elif code == 0x05:
            channel, time = struct.unpack_from("<HxxxxQ", record)
            self._counts[channel] = self._counts.get(channel, 0) + 1
            self._places.append(_Place(time, time, offset, False))

    def _inside(self, content: bytes) -> Iterator[tuple[int, bytes]]:
        """The records of a chunk."""
        from rosbags.rosbag2.storage_mcap import decompress

        size, crc = struct.unpack_from("<QI", content, 16)
        method, at = _string(content, 28)
        (packed,) = struct.unpack_from("<Q", content, at)
        if size > MAX_RECORD or at + 8 + packed > len(content):
            raise ValueError(f"a chunk of {size} bytes")
        data = decompress(content[at + 8 : at + 8 + packed], method, size, crc)
        stream = BytesIO(data)
        while stream.tell() < len(data):
            yield self._record(stream, len(data))

    @staticmethod
    def _record(stream: BinaryIO, size: int) -> tuple[int, bytes]:
        head = stream.read(9)
        if len(head) < 9:
            raise ValueError("no more records")
        code, length = struct.unpack("<BQ", head)
        if length > min(MAX_RECORD, size - stream.tell()):
            raise ValueError(f"a record of {length} bytes")
        return code, stream.read(length)


class SalvagedSqlite:
    """A .db3 file of which pages are missing: its rows in the order in which they were written, while they can be read.

    problem: why reading stopped. Raises UserError where not even the topics can be read.
    """

    def __init__(self, path: Path) -> None:
        self.problem = ""
        self._connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)
        try:
            # Without it, SQLite refuses a file with fewer pages than its header says (btree.c, lockBtree).
            self._connection.execute("PRAGMA writable_schema=ON")
            rows = self._connection.execute("SELECT id, name, type FROM topics").fetchall()
            self._names = {int(number): str(name) for number, name, _ in rows}
        except (sqlite3.Error, ValueError, TypeError) as error:
            self._connection.close()
            raise UserError(f"{path.name} cannot be read ({one_line(error)}); record it again") from None
        definitions, counts = self._definitions(), self._counts()
        self.topics = [
            Topic(str(name), str(kind), *definitions.get(str(kind), ("", False)), counts.get(number, 0))
            for number, name, kind in rows
        ]

    def messages(self, names: frozenset[str], start: int | None = None, stop: int | None = None) -> Iterator[Raw]:
        low, high = 0 if start is None else start, MAX_TIME if stop is None else stop
        rows = self._connection.execute(
            "SELECT topic_id, timestamp, data FROM messages NOT INDEXED WHERE timestamp >= ? AND timestamp < ? "
            "ORDER BY id",
            (low, high),
        )
        while True:
            try:
                row = rows.fetchone()
            except sqlite3.Error as error:
                self.problem = f"damaged or cut off ({one_line(error)})"
                return
            if row is None:
                return
            number, time, data = row
            name = self._names.get(number, "")
            if name in names and isinstance(time, int) and isinstance(data, bytes):
                yield Raw(name, time, uncompressed(data))

    def close(self) -> None:
        self._connection.close()

    def _counts(self) -> dict[int, int]:
        """Messages of each topic, as far as they can be read."""
        counts: dict[int, int] = {}
        try:
            for (number,) in self._connection.execute("SELECT topic_id FROM messages NOT INDEXED ORDER BY id"):
                counts[number] = counts.get(number, 0) + 1
        except sqlite3.Error:  # `messages` comes to the same place, and says so
            pass
        return counts

    def _definitions(self) -> dict[str, tuple[str, bool]]:
        query = "SELECT topic_type, encoded_message_definition, encoding FROM message_definitions"
        try:
            rows = self._connection.execute(query).fetchall()
        except sqlite3.Error:  # a bag of an older version has none
            return {}
        return {str(kind): (str(text), encoding == "ros2idl") for kind, text, encoding in rows}


SALVAGE: dict[str, Callable[[Path], Any]] = {".mcap": ScannedMcap, ".db3": SalvagedSqlite}


def _string(data: bytes, at: int) -> tuple[str, int]:
    """A length and a text, and where it ends."""
    (length,) = struct.unpack_from("<I", data, at)
    end = at + 4 + length
    if end > len(data):
        raise ValueError("a text that is longer than its record")
    return data[at + 4 : end].decode(), end
