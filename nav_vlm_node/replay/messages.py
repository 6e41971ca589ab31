"""The bytes of a bag's messages as messages, by the definitions in the bag, else by ROS 2 Jazzy's and our own."""

from __future__ import annotations

import functools
import os
import struct
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from nav_vlm_node.errors import UserError
from nav_vlm_node.replay.storages import Raw, Topic, one_line

OURS = "nav_vlm_msgs"


def definitions() -> dict[str, str]:
    """The texts of our own messages by full type name: from a workspace, the environment, or the checkout.

    {} where they are not found.
    """
    for folder in _folders():
        texts = {f"{OURS}/msg/{file.stem}": file.read_text(encoding="utf-8") for file in sorted(folder.glob("*.msg"))}
        if texts:
            return texts
    return {}


def _folders() -> Iterator[Path]:
    for prefix in (*os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep), sys.prefix):
        if prefix:
            yield Path(prefix) / "share" / OURS / "msg"
    yield Path(__file__).resolve().parents[2] / "ros2_ws" / "src" / OURS / "msg"


@functools.cache
def our_typestore() -> Any:
    """rosbags' types of ROS 2 Jazzy and our own; not to be added to."""
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    store = get_typestore(Stores.ROS2_JAZZY)
    types: dict[str, Any] = {}
    for name, text in definitions().items():
        types.update(get_types_from_msg(text, name))
    store.register(types)
    return store


class Decoder:
    """Deserialises the messages of these topics. notes: types that are not known, one line each.

    What a bag says of a type goes before what is known of it: a bag may be older or newer than this program.
    """

    def __init__(self, topics: Iterable[Topic]) -> None:
        from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore

        self.notes: list[str] = []
        topics = list(topics)
        self._store = our_typestore()
        types = dict(self._store.fielddefs)
        found: dict[str, Any] = {}
        for topic in topics:
            if not topic.definition:
                continue
            try:
                if topic.idl:
                    parts = topic.definition.split("=" * 80 + "\n")
                    for part in (part.partition("\n")[2] if part.startswith("IDL: ") else part for part in parts):
                        found.update(get_types_from_idl(part) if part.strip() else {})
                else:
                    found.update(get_types_from_msg(topic.definition, topic.msgtype))
            except Exception as error:  # a damaged text raises anything
                self.notes.append(f"the definition of {topic.msgtype} in the bag is damaged ({one_line(error)})")
        if any(types.get(name) != fields for name, fields in found.items()):
            store = get_typestore(Stores.EMPTY)
            try:
                store.register({**types, **found})
                self._store = store
            except Exception as error:
                self.notes.append(f"the bag's type definitions do not fit together ({one_line(error)})")
        for topic in topics:
            if topic.msgtype not in self._store.fielddefs:
                self.notes.append(f"topic {topic.name} is of the unknown type {topic.msgtype!r} and is left out")

    def knows(self, msgtype: str) -> bool:
        """Whether messages of this type can be read."""
        return msgtype in self._store.fielddefs

    def decode(self, raw: Raw, msgtype: str) -> Any:
        """The message. Raises UserError for bytes that are none."""
        try:
            return self._store.deserialize_cdr(raw.data, msgtype)
        except Exception as error:  # bytes that are no message raise anything
            raise UserError(f"a message on {raw.topic} is damaged ({one_line(error)})") from None


def header_stamp(data: bytes) -> int:
    """The stamp [ns] of a serialised message that begins with a std_msgs/Header; 0 where there is none."""
    if len(data) < 12:
        return 0
    seconds, nanoseconds = struct.unpack_from("<iI" if data[1] & 1 else ">iI", data, 4)
    return seconds * 1_000_000_000 + nanoseconds if seconds >= 0 else 0
