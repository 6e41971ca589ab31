"""What the executor and the worker may do to the camera feed at the same time."""

from __future__ import annotations

from builtin_interfaces.msg import Time
from rclpy.callback_groups import ReentrantCallbackGroup

from nav_vlm_node.ros.camera_feed import CameraFeed
from tests.conftest import Graph


def test_a_stamp_is_found_while_another_picture_is_decoded(ros: Graph) -> None:
    feed = CameraFeed(ros.node("camera_listener"), "raw", ReentrantCallbackGroup())

    class Meanwhile(float):
        """A stamp that another one is added beside, on whatever thread, while it is looked at."""

        def __eq__(self, other: object) -> bool:
            feed._stamps.append((3.0, Time(sec=3)))
            return float(self) == other

        __hash__ = float.__hash__

    feed._stamps.extend([(Meanwhile(1.0), Time(sec=1)), (2.0, Time(sec=2))])
    assert feed.stamp_of(2.0) == Time(sec=2)
