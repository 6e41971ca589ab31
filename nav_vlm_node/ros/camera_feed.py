"""The camera as the node sees it: the newest image, decoded when a question needs it; camera_info; how it is doing."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

from builtin_interfaces.msg import Time
from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from nav_vlm_node.errors import UserError
from nav_vlm_node.frames import Frame, Mailbox, decode_compressed, due_in
from nav_vlm_node.instruction import Status
from nav_vlm_node.ros import qos
from nav_vlm_node.ros.camera_info import camera_from_ros
from nav_vlm_node.ros.conversions import stamp_from_ros
from nav_vlm_node.ros.images import image_from_ros


@dataclass(frozen=True, eq=False)
class Received:
    """An image message as it came. stamp: seconds by the node's clock, the arrival where the camera does not say."""

    message: Any  # Image or CompressedImage
    stamp: float
    arrived: float  # time.monotonic()


@dataclass(frozen=True)
class Missing:
    """Why there is no frame to look at."""

    status: Status
    message: str


class CameraFeed:
    """Subscribes `image` (or `image/compressed`) and `camera_info`; `frame` gives what to look at now."""

    def __init__(self, node: Node, transport: str, group: CallbackGroup) -> None:
        self._node = node
        self._mailbox: Mailbox[Received] = Mailbox()
        self._camera_info: CameraInfo | None = None
        self._decoded: tuple[Received, Frame] | None = None
        self._stamps: deque[tuple[float, Time]] = deque(maxlen=16)
        self._arrivals: deque[float] = deque(maxlen=31)
        self.problem = ""  # why the last image could not be used
        message_type, topic = (CompressedImage, "image/compressed") if transport == "compressed" else (Image, "image")
        self._images = node.create_subscription(message_type, topic, self._on_image, qos.CAMERA, callback_group=group)
        node.create_subscription(CameraInfo, "camera_info", self._on_camera_info, qos.CAMERA, callback_group=group)

    @property
    def topic(self) -> str:
        """Where images are expected, after remapping."""
        return str(self._images.topic_name)

    @property
    def count(self) -> int:
        """Images received so far."""
        return self._mailbox.count

    @property
    def rate(self) -> float:
        """Images per second lately; 0 once none has come for two seconds."""
        arrivals = list(self._arrivals)
        if len(arrivals) < 2 or time.monotonic() - arrivals[-1] > 2.0:
            return 0.0
        return (len(arrivals) - 1) / max(arrivals[-1] - arrivals[0], 1e-6)

    @property
    def camera_info(self) -> CameraInfo | None:
        """The newest camera_info; None before the first."""
        return self._camera_info

    @property
    def publishers(self) -> int:
        """How many publishers offer the image topic."""
        return int(self._node.count_publishers(self.topic))

    def age(self) -> float:
        """Seconds by the node's clock since the newest image was taken; NaN if there is none."""
        newest = self._mailbox.newest()
        return math.nan if newest is None else self._now() - newest.stamp

    def clear(self) -> None:
        """Forget the newest image: the clock has jumped."""
        self._mailbox.clear()
        self._decoded = None

    def wake(self) -> None:
        """Let a waiting `frame` see that it should stop."""
        self._mailbox.wake()

    def stamp_of(self, stamp: float) -> Time | None:
        """The exact stamp of a frame that was handed out lately; a double holds only some hundred nanoseconds."""
        return next((exact for seconds, exact in list(self._stamps) if seconds == stamp), None)

    def frame(self, max_age: float, timeout: float, stop: threading.Event) -> Frame | Missing:
        """The newest image if it is no older than `max_age`, else the first such to come within `timeout` seconds."""
        newest, due = self._mailbox.newest(), due_in(list(self._arrivals), time.monotonic())
        if due > 0.0:
            self._mailbox.wait_for(lambda item: item is not newest, min(due, timeout), stop)
        received = self._mailbox.wait_for(lambda item: abs(self._now() - item.stamp) <= max_age, timeout, stop)
        if stop.is_set():
            return Missing(Status.CANCELED, "canceled while waiting for an image")
        if received is None:
            return self._missing(max_age)
        try:
            frame = self._decode(received)
        except UserError as error:
            self.problem = str(error)
            return Missing(Status.POOR_IMAGE, str(error))
        self.problem = ""
        return frame

    def _missing(self, max_age: float) -> Missing:
        age, where = self.age(), f"{self.topic} ({self.publishers} publishers)"
        if math.isnan(age):
            return Missing(Status.NO_IMAGE, f"no image has arrived on {where}; start the camera or remap image")
        if age < 0:
            return Missing(
                Status.STALE_IMAGE,
                f"the newest image on {where} is stamped {-age:.2f} s in the future: do the camera and this node "
                "have the same clock (use_sim_time)?",
            )
        return Missing(
            Status.STALE_IMAGE, f"the newest image on {where} is {age:.2f} s old; max_image_age is {max_age:g} s"
        )

    def _decode(self, received: Received) -> Frame:
        decoded = self._decoded  # `clear` is called on another thread
        if decoded is not None and decoded[0] is received:
            return decoded[1]
        message = received.message
        if isinstance(message, CompressedImage):
            image = decode_compressed(message.data, layout=message.format)
        else:
            image = image_from_ros(message)
        info = self._camera_info
        camera = None if info is None else camera_from_ros(info, width=image.shape[1], height=image.shape[0])
        frame = Frame(image, received.stamp, message.header.frame_id, camera)
        self._stamps.append((received.stamp, message.header.stamp))
        self._decoded = (received, frame)
        return frame

    def _on_image(self, message: Any) -> None:
        stamp = stamp_from_ros(message.header.stamp)
        arrived = time.monotonic()
        self._arrivals.append(arrived)
        self._mailbox.put(Received(message, self._now() if math.isnan(stamp) else stamp, arrived))

    def _on_camera_info(self, message: CameraInfo) -> None:
        self._camera_info = message

    def _now(self) -> float:
        return float(self._node.get_clock().now().nanoseconds) * 1e-9
