"""What the executor and the worker may do to the camera feed at the same time."""

from __future__ import annotations

from typing import Any

import pytest
from builtin_interfaces.msg import Time
from rclpy.callback_groups import ReentrantCallbackGroup

from nav_vlm_node.frames import Frame
from nav_vlm_node.ros.camera_feed import CameraFeed, Received
from tests.conftest import Graph
from tests.pictures import room


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


def test_a_picture_that_is_forgotten_while_it_is_looked_up_is_still_a_picture(
    ros: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = CameraFeed(ros.node("camera_listener"), "raw", ReentrantCallbackGroup())
    received, frame = Received(None, 1.0, 1.0), Frame(room(), 1.0)
    values: list[Any] = [(received, frame)]
    monkeypatch.setattr(CameraFeed, "_decoded", property(lambda _: values.pop() if values else None), raising=False)
    assert feed._decode(received) is frame
