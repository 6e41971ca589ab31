"""Writes a rosbag2 recording of what nav_vlm hears and says, with `rosbags`: no rosbag2 tools are needed."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.serialization import deserialize_message, serialize_message
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import String

from nav_vlm_msgs.msg import Instruction, Query
from nav_vlm_node.errors import UserError
from nav_vlm_node.replay.messages import our_typestore
from nav_vlm_node.ros import qos
from nav_vlm_node.ros.images import image_from_ros
from nav_vlm_node.ros.jpeg import JPEG_FORMAT, jpeg_of
from nav_vlm_node.ros.rigs import Topics

MOST_WAITING = 256 * 2**20  # bytes that wait for the disk; what comes beyond is left out, and counted
# Humble cannot read the QoS of version 9, and Jazzy reads both (rosbag2's metadata_io.cpp and qos.cpp).
METADATA_VERSION = 8
GRACE = 0.3  # seconds in which what has arrived is still taken, once a recording is to end
COMMIT = 1.0  # seconds of a sqlite3 recording that are lost at most when it is killed


@dataclass(frozen=True, kw_only=True)
class Recording:
    """What is recorded, and how. out: the folder, which is made. topics: of the camera. odom: the wearer's odometry.

    image_rate: images a second at most, 0 for all. jpeg: raw images are kept as jpegs (this quality) on
    `<image>/compressed`, 0 to keep them raw. compressed: the camera publishes jpegs itself. zstd: pack what is written.
    """

    out: Path
    topics: Topics
    odom: str = "odom"
    compressed: bool = False
    image_rate: float = 0.0
    jpeg: int = 0
    storage: str = "mcap"
    zstd: bool = False


class RecordNode(Node):
    """Records until it is stopped. This node will:

    * Subscribe `image` (Image) or `image/compressed` (CompressedImage), `camera_info` and `odom` (Odometry)
    * Subscribe `query`, `query_text`, `instruction`, `instruction_text`, `hazard`, `/diagnostics` and `/clock`

    Messages are kept as they arrive, by the time at which they arrive. ended: set when no more can be written; `fault`
    says why. Raises UserError where `out` cannot be made.
    """

    def __init__(self, recording: Recording, *, ended: threading.Event | None = None, **node_arguments: Any) -> None:
        super().__init__("record", **node_arguments)
        self._recording = recording
        self._due = 0.0  # time.monotonic() from which the next image is wanted
        self.lost: Counter[str] = Counter()
        self._writer = _Writer(recording, ended or threading.Event())
        camera = recording.topics
        if recording.compressed:
            self._record(CompressedImage, camera.jpeg, qos.EVERY_PICTURE, image=True)
        else:
            self._record(Image, camera.image, qos.EVERY_PICTURE, image=True)
        self._record(CameraInfo, camera.camera_info, qos.EVERY_PICTURE)
        self._record(Odometry, recording.odom, qos.ODOMETRY)
        for message_type, name in (
            (Query, "query"), (String, "query_text"), (Instruction, "instruction"), (String, "instruction_text"),
            (Instruction, "hazard"), (DiagnosticArray, "/diagnostics"),
        ):  # fmt: skip
            self._record(message_type, name, qos.EVERY_WORD)
        self._record(Clock, "/clock", qos.EVERY_PICTURE)

    def stop(self) -> None:
        """Write what waits, and close the bag; what comes after that is no part of it. Idempotent."""
        if not self._writer.closed:
            time.sleep(GRACE)
        self._writer.close()

    @property
    def counts(self) -> Counter[str]:
        """Messages written so far, by topic."""
        return self._writer.written

    @property
    def fault(self) -> str:
        """Why the bag is not whole; "" where it is."""
        return self._writer.fault

    def _record(self, message_type: Any, name: str, profile: QoSProfile, *, image: bool = False) -> None:
        to_jpeg = image and self._recording.jpeg > 0 and message_type is Image
        topic = self.resolve_topic_name(name)
        kept = f"{topic}/compressed" if to_jpeg else topic
        package, kind = message_type.__module__.partition(".")[0], message_type.__name__
        self._writer.add(kept, f"{package}/msg/{'CompressedImage' if to_jpeg else kind}")

        def take(data: bytes) -> None:
            now = time.time_ns()
            if self._writer.closed or (image and not self._wanted()):
                return
            try:
                content = self._as_jpeg(data) if to_jpeg else bytes(data)
            except (UserError, ValueError) as error:
                self._leave_out(kept, str(error))
                return
            if not self._writer.put(kept, now, content):
                self._leave_out(kept, self._writer.fault or "the disk is too slow; give --image-rate or --jpeg")

        self.create_subscription(message_type, name, take, profile, raw=True)

    def _wanted(self) -> bool:
        """Whether it is time for another image."""
        if not self._recording.image_rate:
            return True
        period, now = 1.0 / self._recording.image_rate, time.monotonic()
        if now < self._due - 0.1 * period:
            return False
        self._due = (self._due if now - self._due < period else now) + period
        return True

    def _as_jpeg(self, data: bytes) -> bytes:
        message: Any = deserialize_message(data, Image)
        packed = jpeg_of(image_from_ros(message), self._recording.jpeg)
        return bytes(serialize_message(CompressedImage(header=message.header, format=JPEG_FORMAT, data=packed)))

    def _leave_out(self, topic: str, why: str) -> None:
        if not self.lost[topic]:  # said once, not thirty times a second
            logging.getLogger(__name__).warning("%s: not recorded: %s", topic, why)
        self.lost[topic] += 1


class _Writer:
    """Writes on a thread of its own: a disk that waits must not make the camera wait.

    All of the bag is that thread's: sqlite3 refuses any other. written: messages, by topic. ended: set at a fault.
    Raises UserError where the bag cannot be made.
    """

    def __init__(self, recording: Recording, ended: threading.Event) -> None:
        self.fault = ""
        self.written: Counter[str] = Counter()
        self._recording, self._ended, self.closed = recording, ended, False
        self._queue: queue.SimpleQueue[Callable[[Any], None] | None] = queue.SimpleQueue()
        self._waiting, self._lock = 0, threading.Lock()
        self._connections: dict[str, Any] = {}
        opened: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(opened,), name="writer", daemon=True)
        self._thread.start()
        opened.result()

    def add(self, topic: str, msgtype: str) -> None:
        """Declare a topic."""

        def declare(bag: Any) -> None:
            self._connections[topic] = bag.add_connection(
                topic, msgtype, typestore=our_typestore(), offered_qos_profiles=[_offered()]
            )

        self._queue.put(declare)

    def put(self, topic: str, time_ns: int, data: bytes) -> bool:
        """Have a message written; False where too much waits already."""
        with self._lock:
            if self.fault or self.closed or self._waiting + len(data) > MOST_WAITING:
                return False
            self._waiting += len(data)

        def write(bag: Any) -> None:
            with self._lock:
                self._waiting -= len(data)
            bag.write(self._connections[topic], time_ns, data)
            self.written[topic] += 1

        self._queue.put(write)
        return True

    def close(self) -> None:
        """Idempotent."""
        with self._lock:
            self.closed = True
        self._queue.put(None)
        self._thread.join()

    def _run(self, opened: Future[None]) -> None:
        try:
            bag = _bag_of(self._recording)
        except Exception as error:  # it is raised where the writer is made
            opened.set_exception(error)
            return
        opened.set_result(None)
        committed = time.monotonic()
        while (task := self._queue.get()) is not None:
            try:
                if not self.fault:
                    task(bag)
                    if self._recording.storage == "sqlite3" and time.monotonic() - committed > COMMIT:
                        bag.storage.conn.commit()  # rosbags would at the end alone
                        committed = time.monotonic()
            except Exception as error:  # the thread's border: a full disk, most likely
                self.fault = f"writing stopped ({error})"
                self._ended.set()
        try:
            bag.close()
        except Exception as error:
            self.fault = self.fault or f"the bag could not be finished ({error})"


def _bag_of(recording: Recording) -> Any:
    """The bag, open. Raises UserError."""
    from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer, WriterError

    plugin = StoragePlugin.MCAP if recording.storage == "mcap" else StoragePlugin.SQLITE3
    try:
        bag = Writer(recording.out, version=METADATA_VERSION, storage_plugin=plugin)
        if recording.zstd:  # rosbag2 packs mcap's chunks, and refuses packed messages in it
            mode = CompressionMode.STORAGE if plugin is StoragePlugin.MCAP else CompressionMode.MESSAGE
            bag.set_compression(mode, CompressionFormat.ZSTD)
        bag.open()
    except WriterError:
        raise UserError(f"{recording.out} is there already; give another folder") from None
    except OSError as error:
        raise UserError(f"{recording.out} cannot be made ({error.strerror}); give another folder") from None
    return bag


def _offered() -> Any:
    """What `ros2 bag play` is to offer: reliable, which subscriptions of either kind hear."""
    from rosbags.interfaces import (
        Qos,
        QosDurability,
        QosHistory,
        QosLiveliness,
        QosReliability,
        QosTime,
    )

    forever = QosTime(2147483647, 4294967295)
    return Qos(
        history=QosHistory.KEEP_LAST,
        depth=qos.EVERY_WORD.depth,
        reliability=QosReliability.RELIABLE,
        durability=QosDurability.VOLATILE,
        deadline=forever,
        lifespan=forever,
        liveliness=QosLiveliness.AUTOMATIC,
        liveliness_lease_duration=forever,
        avoid_ros_namespace_conventions=False,
    )
