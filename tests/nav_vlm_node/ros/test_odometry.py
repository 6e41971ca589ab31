"""The node with odometry: it remembers the way; without, or switched off, each picture stands alone."""

from __future__ import annotations

import math
from typing import Any

import pytest
from nav_msgs.msg import Odometry
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.parameter import Parameter

from nav_vlm_msgs.msg import Instruction as Msg
from nav_vlm_msgs.srv import SetAdapter
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


def test_odometry_that_begins_anew_while_nobody_asks_is_no_way_to_lead_on(ros: Graph) -> None:
    answers = {EXIT: "Move 8 metres to the exit."}
    wearer = Wearer(ros, guide_node(ros, lambda: ScriptedEngine(answers, probability=1.0)))
    assert told_with_odometry(ros, wearer, "seen").status == Msg.STATUS_OK
    answers.update(NOT_THERE)
    wearer.guide.odometry._on_odometry(odometry(wearer.guide.now(), x=1000.0))
    anew = told_with_odometry(ros, wearer, "anew")  # at the same place, by the new count
    assert anew.text.endswith("No exit in view. Turn left 60 degrees.")


def test_another_adapter_does_not_lead_on_by_what_the_last_one_saw(ros: Graph) -> None:
    answers = {EXIT: "Move 8 metres to the exit."}
    engine = ScriptedEngine(answers, probability=1.0, adapters=("other",))
    wearer = Wearer(ros, guide_node(ros, lambda: engine))
    assert told_with_odometry(ros, wearer, "seen").status == Msg.STATUS_OK
    answers.update(NOT_THERE)
    assert ros.call(wearer.node, SetAdapter, "set_adapter", SetAdapter.Request(adapter="other")).success
    assert told_with_odometry(ros, wearer, "anew").text.endswith("No exit in view. Turn left 60 degrees.")


def test_memory_can_be_switched_off(ros: Graph) -> None:
    wearer = Wearer(ros, guide_node(ros, lambda: ScriptedEngine(NOT_THERE)))
    wearer.guide.set_parameters([Parameter("remember_way", value=False)])
    assert told_with_odometry(ros, wearer, "q").status == Msg.STATUS_NOT_VISIBLE


@pytest.fixture
def feed(ros: Graph) -> OdometryFeed:
    return OdometryFeed(ros.node("listener"), ReentrantCallbackGroup())


def where(feed: OdometryFeed, stamp: float) -> Place:
    known = feed.place(stamp)
    assert known is not None
    return known.place


def epochs(feed: OdometryFeed, *messages: Odometry) -> list[int]:
    """The number of the odometry that each message belongs to."""
    found = []
    for message in messages:
        feed._on_odometry(message)
        known = feed.place(stamp_from_ros(message.header.stamp))
        assert known is not None
        found.append(known.epoch)
    return found


def test_the_place_is_that_of_the_picture(feed: OdometryFeed) -> None:
    assert feed.place(1.0) is None
    for k in range(10):
        feed._on_odometry(odometry(1.0 + 0.1 * k, x=float(k), yaw=0.3 * k))
    assert where(feed, 1.42) == pytest.approx((4.0, 0.0, 1.2))
    assert where(feed, 1.9 + NEAR / 2) == pytest.approx((9.0, 0.0, 2.7))
    assert feed.place(1.9 + NEAR * 2) is None
    assert feed.place(1.0 - NEAR * 2) is None
    feed._on_odometry(odometry(0.5, x=50.0))  # the clock was set back
    assert feed.place(1.42) is None
    assert where(feed, 0.5) == pytest.approx((50.0, 0.0, 0.0))
    feed.clear()
    assert feed.place(0.5) is None


def test_whoever_walks_runs_and_turns_keeps_their_odometry(feed: OdometryFeed) -> None:
    path = [odometry(1.0 + 0.1 * k, x=0.25 * k, y=5.0, yaw=math.remainder(0.5 * k, math.tau)) for k in range(30)]
    lost = odometry(5.5, x=11.0, y=5.0, yaw=3.0)  # some were lost on the way here
    assert len(set(epochs(feed, *path, path[-1], lost))) == 1


@pytest.mark.parametrize(
    "anew",
    [
        {"stamp": 2.1, "x": 0.0, "yaw": 1.5},  # 2 m in a tenth of a second
        {"stamp": 2.1, "x": 2.0, "yaw": 0.0},  # 86 degrees
        {"stamp": 1.5, "x": 2.0, "yaw": 1.5},  # a clock set back
        {"stamp": 9.0, "x": 2.0, "yaw": 1.5},  # a driver that was started again
    ],
)
def test_odometry_that_begins_anew_has_another_number(feed: OdometryFeed, anew: dict[str, float]) -> None:
    first, second, third = epochs(
        feed, odometry(2.0, x=2.0, yaw=1.5), odometry(**anew), odometry(**{**anew, "stamp": anew["stamp"] + 0.1})
    )
    assert second == third != first


@pytest.mark.parametrize("frame", ["frame_id", "child_frame_id"])
def test_odometry_in_another_frame_has_another_number(feed: OdometryFeed, frame: str) -> None:
    other = odometry(2.1)
    setattr(other.header if frame == "frame_id" else other, frame, "map")
    first, second = epochs(feed, odometry(2.0), other)
    assert first != second
    old = feed.place(2.0)
    assert old is not None
    assert old.epoch == first, "a picture from before has the place of before"
    feed.clear()
    assert epochs(feed, other)[0] not in (first, second)


@pytest.mark.parametrize("broken", [{"x": math.nan}, {"x": math.inf}, {"stamp": 0.0}])
def test_odometry_that_is_none_is_left_out(feed: OdometryFeed, broken: dict[str, Any]) -> None:
    feed._on_odometry(odometry(**{"stamp": 2.0, **broken}))
    assert feed.place(2.0) is None
    nowhere = odometry(2.0)
    nowhere.pose.pose.orientation.w = 0.0  # a quaternion of length 0
    feed._on_odometry(nowhere)
    assert feed.place(2.0) is None
    feed._on_odometry(odometry(2.0, x=1.0))
    assert where(feed, 2.0) == Place(1.0, 0.0, 0.0)


def test_odometry_comes_from_publishers_of_either_reliability(ros: Graph, feed: OdometryFeed) -> None:
    for stamp, profile in ((5.0, qos.ODOMETRY), (6.0, 10)):
        node = ros.node(f"wheel_{stamp:.0f}")
        places = node.create_publisher(Odometry, "odom", profile)
        ros.until(places.get_subscription_count)

        def arrived(places: Any = places, stamp: float = stamp) -> bool:
            places.publish(odometry(stamp))
            return feed.place(stamp) is not None

        ros.until(arrived, "odometry")
