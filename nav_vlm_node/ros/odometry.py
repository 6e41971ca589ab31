"""Where the wearer was when a picture was taken, by `odom`: for the memory of the way."""

from __future__ import annotations

import math
import threading
from collections import deque

from nav_msgs.msg import Odometry
from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node

from nav_vlm_node.ros import qos
from nav_vlm_node.ros.conversions import stamp_from_ros, yaw_from_ros
from nav_vlm_node.session import Place

KEPT = 400  # places: some seconds of any odometry
NEAR = 0.25  # seconds between a picture and the place that is taken for it
PATIENCE = 0.1  # seconds that the place of a picture may come later than the picture


class OdometryFeed:
    """Subscribes `odom`; `place` is where the wearer was. Without anybody who publishes it costs nothing."""

    def __init__(self, node: Node, group: CallbackGroup) -> None:
        self._places: deque[tuple[float, Place]] = deque(maxlen=KEPT)
        self._changed = threading.Condition()
        node.create_subscription(Odometry, "odom", self._on_odometry, qos.ODOMETRY, callback_group=group)

    def clear(self) -> None:
        """Forget all places: the clock has jumped."""
        with self._changed:
            self._places.clear()

    def place(self, stamp: float) -> Place | None:
        """The place nearest to `stamp` [s]; None where none is within NEAR seconds."""
        with self._changed:
            if not self._places:
                return None
            self._changed.wait_for(lambda: bool(self._places) and self._places[-1][0] >= stamp - 1e-9, PATIENCE)
            nearest = min(self._places, key=lambda known: abs(known[0] - stamp), default=(math.inf, Place(0, 0, 0)))
        return nearest[1] if abs(nearest[0] - stamp) <= NEAR else None

    def _on_odometry(self, message: Odometry) -> None:
        stamp, pose = stamp_from_ros(message.header.stamp), message.pose.pose
        place = Place(pose.position.x, pose.position.y, yaw_from_ros(pose.orientation))
        if math.isnan(stamp) or not all(map(math.isfinite, place)):
            return
        with self._changed:
            if self._places and stamp < self._places[-1][0]:
                self._places.clear()  # begun again
            self._places.append((stamp, place))
            self._changed.notify_all()
