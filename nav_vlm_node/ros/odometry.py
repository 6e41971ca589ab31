"""Where the wearer was when a picture was taken, by `odom`: for the memory of the way."""

from __future__ import annotations

import math
import threading
from collections import deque
from typing import NamedTuple

from nav_msgs.msg import Odometry
from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node

from nav_vlm_node.ros import qos
from nav_vlm_node.ros.conversions import stamp_from_ros, yaw_from_ros
from nav_vlm_node.score import wrap
from nav_vlm_node.session import Place

KEPT = 400  # places: some seconds of any odometry
NEAR = 0.25  # seconds between a picture and the place that is taken for it
PATIENCE = 0.1  # seconds that the place of a picture may come later than the picture
# What no body does from one message to the next: odometry that says so has begun anew, or found itself somewhere else.
WALKED = 0.3, 3.0  # metres, metres per second
TURNED = math.radians(20), math.radians(360)  # radians, radians per second
SILENCE = 2.0  # seconds between two messages, after which nobody knows that it is the same odometry that goes on


class Known(NamedTuple):
    """A place, and which odometry says so: `epoch` grows each time that it begins anew."""

    stamp: float
    place: Place
    epoch: int
    frames: tuple[str, str]  # header.frame_id, child_frame_id


class OdometryFeed:
    """Subscribes `odom`; `place` is where the wearer was. Without anybody who publishes it costs nothing."""

    def __init__(self, node: Node, group: CallbackGroup) -> None:
        self._places: deque[Known] = deque(maxlen=KEPT)
        self._epoch = 0
        self._changed = threading.Condition()
        node.create_subscription(Odometry, "odom", self._on_odometry, qos.ODOMETRY, callback_group=group)

    def clear(self) -> None:
        """Forget all places: the clock has jumped."""
        with self._changed:
            self._places.clear()
            self._epoch += 1

    def place(self, stamp: float) -> Known | None:
        """The place nearest to `stamp` [s]; None where none is within NEAR seconds."""
        with self._changed:
            if not self._places:
                return None
            self._changed.wait_for(lambda: bool(self._places) and self._places[-1].stamp >= stamp - 1e-9, PATIENCE)
        return self.nearest(stamp)

    def nearest(self, stamp: float) -> Known | None:
        """As `place`, without waiting for it."""
        with self._changed:
            nearest = min(self._places, key=lambda known: abs(known.stamp - stamp), default=None)
        return nearest if nearest is not None and abs(nearest.stamp - stamp) <= NEAR else None

    def _on_odometry(self, message: Odometry) -> None:
        stamp, pose = stamp_from_ros(message.header.stamp), message.pose.pose
        place = Place(pose.position.x, pose.position.y, yaw_from_ros(pose.orientation))
        if math.isnan(stamp) or not all(map(math.isfinite, place)):
            return
        with self._changed:
            new = Known(stamp, place, self._epoch, (message.header.frame_id, message.child_frame_id))
            if self._places and _begun_anew(self._places[-1], new):
                if stamp < self._places[-1].stamp:
                    self._places.clear()
                self._epoch += 1
                new = new._replace(epoch=self._epoch)
            self._places.append(new)
            self._changed.notify_all()


def _begun_anew(last: Known, new: Known) -> bool:
    """Whether `new` cannot be the same odometry's next word after `last`."""
    seconds = new.stamp - last.stamp
    if not 0.0 <= seconds <= SILENCE or new.frames != last.frames:
        return True
    walked, turned = math.dist(last.place[:2], new.place[:2]), abs(wrap(new.place.yaw - last.place.yaw))
    return walked > WALKED[0] + WALKED[1] * seconds or turned > TURNED[0] + TURNED[1] * seconds
