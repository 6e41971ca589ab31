"""Recordings for tests, written with `rosbags`: a camera that shows another picture each time, and questions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from nav_vlm_node.instruction import Instruction
from nav_vlm_node.replay.messages import our_typestore
from tests.pictures import Image, room

START = 1_700_000_000_000_000_000  # ns, of every recording here
SECOND = 1_000_000_000
STORE = our_typestore()
PLUGINS = {"mcap": StoragePlugin.MCAP, "sqlite3": StoragePlugin.SQLITE3}


def ns(seconds: float) -> int:
    """Nanoseconds of a time that is counted from START."""
    return START + round(seconds * SECOND)


def picture(number: int, height: int = 60, width: int = 80) -> Image:
    """The camera's picture of this number; each one is another."""
    return np.ascontiguousarray(np.roll(room(height, width), 3 * number, axis=1))


class Bag:
    """Adds messages to a recording that is being written."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._topics: dict[str, Any] = {}

    def put(self, topic: str, time: int, message: Any, msgtype: str = "") -> None:
        """One message, recorded at `time` [ns]."""
        kind = msgtype or message.__msgtype__
        self.put_bytes(topic, time, bytes(STORE.serialize_cdr(message, message.__msgtype__)), kind)

    def put_bytes(self, topic: str, time: int, data: bytes, msgtype: str) -> None:
        """One message as it is to lie there."""
        if topic not in self._topics:
            self._topics[topic] = self._writer.add_connection(topic, msgtype, typestore=STORE)
        self._writer.write(self._topics[topic], time, data)

    def image(
        self, number: int, time: int, *, stamp: int | None = None, topic: str = "/image", height: int = 60
    ) -> None:
        """A raw picture; stamp: `time` if None."""
        shown = picture(number, height, height * 4 // 3)
        self.put(topic, time, image_message(shown, time if stamp is None else stamp))

    def jpeg(self, number: int, time: int, *, topic: str = "/image/compressed") -> None:
        """A compressed picture."""
        data = cv2.imencode(".jpg", picture(number)[..., ::-1])[1].reshape(-1)
        kind = STORE.types["sensor_msgs/msg/CompressedImage"]
        self.put(topic, time, kind(header=header(time), format="rgb8; jpeg compressed bgr8", data=data))

    def query(self, text: str, time: int, query_id: str = "", topic: str = "/query") -> None:
        """A question by topic `query`."""
        kind = STORE.types["nav_vlm_msgs/msg/Query"]
        self.put(topic, time, kind(header=header(time), id=query_id, text=text, priority=0))

    def text(self, text: str, time: int, topic: str = "/query_text") -> None:
        """A question by topic `query_text`."""
        self.put(topic, time, STORE.types["std_msgs/msg/String"](data=text))

    def instruction(self, answer: Instruction, time: int, stamp: int, topic: str = "/instruction") -> None:
        """What was answered live, about the image of this stamp."""
        steps = [
            STORE.types["nav_vlm_msgs/msg/Step"](
                action=step.action.value, bearing=step.bearing, distance=step.distance, landmark=step.landmark
            )
            for step in answer.steps
        ]
        names = ("query_id", "query", "text", "confidence", "priority", "latency", "image_age", "model", "adapter")
        kind = STORE.types["nav_vlm_msgs/msg/Instruction"]
        same = {name: getattr(answer, name) for name in names}
        message = kind(
            header=header(stamp, answer.frame_id),
            status=answer.status.value,
            steps=steps,
            message=answer.message,
            **same,
        )
        self.put(topic, time, message)

    def camera_info(self, time: int, focal: float, topic: str = "/camera_info") -> None:
        """A calibration for `picture`."""
        kind, window = STORE.types["sensor_msgs/msg/CameraInfo"], STORE.types["sensor_msgs/msg/RegionOfInterest"]
        k = np.array([focal, 0, 39.5, 0, focal, 29.5, 0, 0, 1], float)
        self.put(
            topic,
            time,
            kind(
                header=header(time), height=60, width=80, distortion_model="plumb_bob", d=np.zeros(5), k=k,
                r=np.eye(3).ravel(), p=np.zeros(12), binning_x=0, binning_y=0,
                roi=window(x_offset=0, y_offset=0, height=0, width=0, do_rectify=False),
            ),
        )  # fmt: skip

    def odometry(self, time: int, topic: str = "/odom") -> None:
        """Somebody who stands where their odometry began."""
        types = STORE.types
        point, turn = types["geometry_msgs/msg/Point"](x=0.0, y=0.0, z=0.0), (0.0, 0.0, 0.0, 1.0)
        pose = types["geometry_msgs/msg/Pose"](position=point, orientation=types["geometry_msgs/msg/Quaternion"](*turn))
        still = types["geometry_msgs/msg/Vector3"](x=0.0, y=0.0, z=0.0)
        message = types["nav_msgs/msg/Odometry"](
            header=header(time, "odom"), child_frame_id="base_link",
            pose=types["geometry_msgs/msg/PoseWithCovariance"](pose=pose, covariance=np.zeros(36)),
            twist=types["geometry_msgs/msg/TwistWithCovariance"](
                twist=types["geometry_msgs/msg/Twist"](linear=still, angular=still), covariance=np.zeros(36)
            ),
        )  # fmt: skip
        self.put(topic, time, message)

    def clock(self, time: int, shown: int) -> None:
        """What /clock says at `time`."""
        self.put("/clock", time, STORE.types["rosgraph_msgs/msg/Clock"](clock=stamp_of(shown)))


@contextmanager
def recording(path: Path, storage: str = "mcap", *, zstd: bool = False, version: int = 9) -> Iterator[Bag]:
    """A recording to put messages into; whole at the end. version: of its metadata, 9 as Jazzy has it."""
    writer = Writer(path, version=version, storage_plugin=PLUGINS[storage])
    if zstd:
        writer.set_compression(CompressionMode.MESSAGE, CompressionFormat.ZSTD)
    with writer:
        yield Bag(writer)


def make_bag(
    path: Path,
    storage: str = "mcap",
    *,
    transport: str = "raw",
    questions: Sequence[tuple[float, str]] = ((0.95, "Where is the door?"), (1.52, "How do I get to the exit?")),
    count: int = 20,
    rate: float = 10.0,
    zstd: bool = False,
    height: int = 60,
    version: int = 9,
) -> Path:
    """`count` pictures at `rate`, and questions by time [s] with the ids q0, q1, ..."""
    with recording(path, storage, zstd=zstd, version=version) as bag:
        for number in range(count):
            time = ns(number / rate)
            if transport == "raw":
                bag.image(number, time, height=height)
            else:
                bag.jpeg(number, time)
        for number, (seconds, text) in enumerate(questions):
            bag.query(text, ns(seconds), f"q{number}")
    return path


def data_file(path: Path) -> Path:
    """The file of a recording that holds the messages."""
    return next(file for file in sorted(path.iterdir()) if file.suffix in (".mcap", ".db3"))


def image_message(image: Image, stamp: int, frame_id: str = "camera_optical") -> Any:
    """sensor_msgs/Image, as rosbags has it."""
    height, width = image.shape[:2]
    return STORE.types["sensor_msgs/msg/Image"](
        header=header(stamp, frame_id),
        height=height,
        width=width,
        encoding="rgb8",
        is_bigendian=0,
        step=3 * width,
        data=image.reshape(-1),
    )


def header(stamp: int, frame_id: str = "camera_optical") -> Any:
    """std_msgs/Header; stamp 0 says that there is none."""
    return STORE.types["std_msgs/msg/Header"](stamp=stamp_of(stamp), frame_id=frame_id)


def stamp_of(time: int) -> Any:
    """builtin_interfaces/Time."""
    return STORE.types["builtin_interfaces/msg/Time"](sec=time // SECOND, nanosec=time % SECOND)
