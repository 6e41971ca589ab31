"""What tests of started commands wait for: an active node, topics that somebody serves; and a camera for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
from lifecycle_msgs.srv import GetState
from sensor_msgs.msg import CompressedImage

from nav_vlm_node.ros import qos
from tests.conftest import Graph
from tests.pictures import room
from tests.processes import Session

LOADING = 300.0  # seconds for torch and transformers to come from a cold disk on a busy machine


def await_active(ros: Graph, probe: Any, session: Session) -> None:
    """Until the node nav_vlm, in the probe's namespace, is active."""
    client = probe.create_client(GetState, "nav_vlm/get_state")

    def active() -> bool:
        session.still_runs()
        if not client.service_is_ready():
            return False
        return bool(ros.result(client.call_async(GetState.Request())).current_state.label == "active")

    ros.until(active, "the node to be active", LOADING)


def await_topics(ros: Graph, probe: Any, session: Session, *, subscribed: str, published: str) -> None:
    """Until somebody subscribes the one and publishes the other."""

    def both() -> bool:
        session.still_runs()
        return bool(probe.count_subscribers(subscribed) and probe.count_publishers(published))

    ros.until(both, f"{subscribed} and {published}")


def a_camera(ros: Graph, probe: Any, topic: str) -> Callable[[], None]:
    """Publishes a picture twenty times a second until the function that is returned is called."""
    publisher = probe.create_publisher(CompressedImage, topic, qos.CAMERA)
    data = cv2.imencode(".jpg", room()[..., ::-1])[1].tobytes()

    def show() -> None:
        message = CompressedImage(format="rgb8; jpeg compressed bgr8", data=data)
        message.header.frame_id = "glasses"
        message.header.stamp = probe.get_clock().now().to_msg()
        publisher.publish(message)

    timer = probe.create_timer(0.05, show)
    return lambda: timer.cancel()
