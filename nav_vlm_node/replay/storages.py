"""The files of a bag as `rosbags` reads them, where they are in order; `salvage` is for what is left of the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

MAX_TIME = 2**63 - 1  # nanoseconds, as rosbag2 holds them
ZSTD = b"\x28\xb5\x2f\xfd"


@dataclass(frozen=True)
class Topic:
    """A topic of a bag. definition: the text of its type ("" where the bag does not say), `idl` whether it is IDL."""

    name: str
    msgtype: str
    definition: str = ""
    idl: bool = False
    count: int = 0


@dataclass(frozen=True)
class Raw:
    """A message as it lies in the bag. time: when it was recorded [ns]."""

    topic: str
    time: int
    data: bytes


class Storage(Protocol):
    """One bag, or one file of it."""

    topics: list[Topic]

    def messages(self, names: frozenset[str], start: int | None = None, stop: int | None = None) -> Iterator[Raw]:
        """Messages of these topics at `start` or later and before `stop` [ns]."""

    def close(self) -> None:
        """Close the files."""


class RosbagsStorage:
    """A folder with metadata.yaml, or one file, that `rosbags` can read. Raises whatever it raises."""

    def __init__(self, path: Path) -> None:
        from rosbags.interfaces import MessageDefinitionFormat
        from rosbags.rosbag2 import Reader

        self._reader = Reader(path)
        self._reader.open()
        self._take_qos_as_metadata_has_it()
        self.topics = [
            Topic(
                connection.topic,
                connection.msgtype,
                connection.msgdef.data or "",
                connection.msgdef.format == MessageDefinitionFormat.IDL,
                connection.msgcount,
            )
            for connection in self._reader.connections
        ]

    def _take_qos_as_metadata_has_it(self) -> None:
        """rosbags reads nothing of a topic whose QoS metadata.yaml and the file tell differently, as where somebody has
        edited the one; rosbag2 does not compare them."""
        known = {connection.topic: connection.ext for connection in self._reader.connections}
        for storage in getattr(self._reader.storage, "storages", ()):
            storage.connections = [each._replace(ext=known.get(each.topic, each.ext)) for each in storage.connections]

    def messages(self, names: frozenset[str], start: int | None = None, stop: int | None = None) -> Iterator[Raw]:
        wanted = [connection for connection in self._reader.connections if connection.topic in names]
        if not wanted:
            return
        for connection, time, data in self._reader.messages(wanted, start=start, stop=stop):
            yield Raw(connection.topic, time, uncompressed(bytes(data)))

    def close(self) -> None:
        self._reader.close()


def uncompressed(data: bytes) -> bytes:
    """A message that was compressed by itself, where metadata.yaml is not there to say so (CDR never begins so).

    b"" for one that is damaged.
    """
    if not data.startswith(ZSTD):
        return data
    from rosbags.rosbag2.storage_mcap import DECOMPRESSORS

    try:
        return bytes(DECOMPRESSORS["zstd"](data, 0))
    except Exception:  # it raises several kinds
        return b""


def one_line(error: BaseException) -> str:
    """An exception's own words in one short line."""
    return " ".join(str(error).split())[:160] or type(error).__name__
