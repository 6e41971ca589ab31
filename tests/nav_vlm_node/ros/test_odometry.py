"""The node with odometry: it remembers the way; without, or switched off, each picture stands alone."""

from __future__ import annotations

import math
from typing import Any

import pytest
from nav_msgs.msg import Odometry
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.parameter import Parameter

from nav_vlm_msgs.msg import Instruction as Msg
from nav_vlm_node.instruction import Action
from nav_vlm_node.ros import qos
from nav_vlm_node.ros.conversions import stamp_from_ros, stamp_to_ros, yaw_to_ros
from nav_vlm_node.ros.odometry import NEAR, OdometryFeed
from nav_vlm_node.session import Place
from nav_vlm_node.vlm.scripted import ScriptedEngine
from tests.conftest import Graph
from tests.ros_rig import Wearer, guide_node, plain

EXIT = "How do I get to the exit?"
NOT_THERE = {EXIT: "No exit in view. Turn slowly to look around.", "Where is the open door?": "No open door in view."}


def odometry(stamp: float, x: float = 0.0, y: float = 0.0, yaw: float = 0.0) -> Odometry:
    message = Odometry()
    message.header.stamp = stamp_to_ros(stamp)
    message.pose.pose.position.x, message.pose.pose.position.y = x, y
    message.pose.pose.orientation = yaw_to_ros(yaw)
    return message


def told_with_odometry(ros: Graph, wearer: Wearer, query_id: str) -> Msg:
    """One answer about a picture whose place is known."""
    places = wearer.node.create_publisher(Odometry, "odom", 10)
    ros.until(places.get_subscription_count, "the node to listen to odom")
    feed = wearer.guide.odometry
    image = wearer.look()
    stamp = stamp_from_ros(image.header.stamp)
    while feed.place(stamp) is None:  # best effort
        places.publish(odometry(stamp))
    return wearer.ask_and_hear(EXIT, query_id)


def test_with_odometry_the_node_leads_on_by_memory(ros: Graph) -> None:
    wearer = Wearer(ros, guide_node(ros, lambda: ScriptedEngine(NOT_THERE)))
    wearer.look()
    alone = wearer.ask_and_hear(EXIT, "alone")
    assert alone.status == Msg.STATUS_NOT_VISIBLE
    assert Action.SCAN in [step.action for step in plain(alone).steps]
    led = told_with_odometry(ros, wearer, "led")
    assert led.status == Msg.STATUS_SEARCHING
    assert plain(led).steps[-1].action is Action.TURN
    assert led.text.endswith("Turn left 60 degrees.")


def test_memory_can_be_switched_off(ros: Graph) -> None:
    wearer = Wearer(ros, guide_node(ros, lambda: ScriptedEngine(NOT_THERE)))
    wearer.guide.set_parameters([Parameter("remember_way", value=False)])
    assert told_with_odometry(ros, wearer, "q").status == Msg.STATUS_NOT_VISIBLE


@pytest.fixture
def feed(ros: Graph) -> OdometryFeed:
    return OdometryFeed(ros.node("listener"), ReentrantCallbackGroup())


def test_the_place_is_that_of_the_picture(feed: OdometryFeed) -> None:
    assert feed.place(1.0) is None
    for k in range(10):
        feed._on_odometry(odometry(1.0 + 0.1 * k, x=float(k), yaw=0.3 * k))
    place = feed.place(1.42)
    assert place is not None
    assert place == pytest.approx((4.0, 0.0, 1.2))
    assert feed.place(1.9 + NEAR / 2) == pytest.approx((9.0, 0.0, 2.7))
    assert feed.place(1.9 + NEAR * 2) is None
    assert feed.place(1.0 - NEAR * 2) is None
    feed._on_odometry(odometry(0.5, x=50.0))  # the clock was set back
    assert feed.place(1.42) is None
    assert feed.place(0.5) == pytest.approx((50.0, 0.0, 0.0))
    feed.clear()
    assert feed.place(0.5) is None


@pytest.mark.parametrize("broken", [{"x": math.nan}, {"x": math.inf}, {"stamp": 0.0}])
def test_odometry_that_is_none_is_left_out(feed: OdometryFeed, broken: dict[str, Any]) -> None:
    feed._on_odometry(odometry(**{"stamp": 2.0, **broken}))
    assert feed.place(2.0) is None
    nowhere = odometry(2.0)
    nowhere.pose.pose.orientation.w = 0.0  # a quaternion of length 0
    feed._on_odometry(nowhere)
    assert feed.place(2.0) is None
    feed._on_odometry(odometry(2.0, x=1.0))
    assert feed.place(2.0) == Place(1.0, 0.0, 0.0)


def test_odometry_comes_from_publishers_of_either_reliability(ros: Graph, feed: OdometryFeed) -> None:
    for stamp, profile in ((5.0, qos.ODOMETRY), (6.0, 10)):
        node = ros.node(f"wheel_{stamp:.0f}")
        places = node.create_publisher(Odometry, "odom", profile)
        ros.until(places.get_subscription_count)

        def arrived(places: Any = places, stamp: float = stamp) -> bool:
            places.publish(odometry(stamp))
            return feed.place(stamp) is not None

        ros.until(arrived, "odometry")
