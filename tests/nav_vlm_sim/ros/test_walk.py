"""A walk over ROS 2: in lockstep it is the walk of one process; with time that goes on, a late answer costs its way."""

from __future__ import annotations

import json
import math
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped
from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import GetState
from nav_msgs.msg import Odometry
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, Imu

from nav_vlm_msgs.msg import Instruction as Msg
from nav_vlm_msgs.msg import Query
from nav_vlm_node.errors import UserError
from nav_vlm_node.instruction import Status
from nav_vlm_node.ros import qos
from nav_vlm_node.ros.camera_info import camera_from_ros
from nav_vlm_node.ros.conversions import stamp_from_ros, stamp_to_ros, yaw_from_ros, yaw_to_ros
from nav_vlm_node.ros.guide_state import GuideState
from nav_vlm_node.ros.images import image_from_ros
from nav_vlm_node.vlm.scripted import ScriptedEngine
from nav_vlm_sim import cli
from nav_vlm_sim.ros import walker_node
from nav_vlm_sim.ros.rig_node import EVERY_TICK, GRAVITY, RigNode
from nav_vlm_sim.ros.walk_tables import EPOCH, plan_named
from nav_vlm_sim.ros.walker_node import WalkerNode
from nav_vlm_sim.walks import records
from nav_vlm_sim.walks.crowd import Crowd
from nav_vlm_sim.walks.episode import Episode, Stage, run
from nav_vlm_sim.walks.guides import ModelGuide
from nav_vlm_sim.walks.painter import Painter
from nav_vlm_sim.walks.rig import CAMERA, camera_pose
from nav_vlm_sim.walks.rig import Odometry as Counted
from nav_vlm_sim.walks.walker import SLOW, TICK
from tests.conftest import Graph
from tests.ros_rig import guide_node

PLAN = """
name: two rooms
rooms:
  - {name: west, x: [0.0, 5.0], y: [0.0, 4.0]}
  - {name: east, x: [5.2, 10.0], y: [0.0, 4.0]}
walls:
  - {kind: open door, room: west, wall: east, at: 2.0, to: east}
  - {kind: exit, room: east, wall: north, at: 8.5}
things:
  - {kind: box, x: 3.0, y: 0.6}
  - {kind: person, x: 7.6, y: 3.2, yaw: 180.0, speed: 0.6}
walks:
  - {x: 6.2, y: 1.0, yaw: 30.0, goal: exit, kind: B}
  - {x: 8.5, y: 1.2, yaw: 90.0, goal: exit, kind: A}
"""
QUESTION = "How do I get to the exit?"


def wandering(image: Any, query: str) -> str:
    """For tests: an answer that depends on the picture, so that another picture makes another walk."""
    if query != QUESTION:
        return "No open door in view."
    quarters = [part.mean() for part in np.array_split(image.astype(float), 4, axis=1)]
    return [
        "No exit in view. Turn slowly to look around.",
        "Caution, box ahead at 1.5 metres. Turn right 45 degrees, then move 2 metres to the exit.",
        "Turn left 25 degrees, then move 2 metres to the exit.",
        "No exit in view. Turn left 10 degrees, then move 2 metres to the open door.",
    ][int(np.argmax(quarters))]


@pytest.fixture
def plan(tmp_path: Path) -> str:
    path = tmp_path / "rooms.yaml"
    path.write_text(PLAN)
    return str(path)


def start(ros: Graph, kind: Any, **values: Any) -> Any:
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    ended = {"ended": threading.Event()} if kind is WalkerNode else {}
    return ros.add(kind(context=ros.context, parameter_overrides=overrides, **ended))


def walked(ros: Graph, plan: str, answers: Any, *, guide: dict[str, Any] | None = None, **values: Any) -> WalkerNode:
    """A walk with guide, rig and walker on one graph, until its end."""
    patient = {"max_image_age": 0.5, "max_answer_age": 3.0, "image_timeout": 5.0, "use_sim_time": True}
    guide_node(ros, lambda: ScriptedEngine(answers), **patient, **(guide or {}), camera_pitch=math.radians(10))
    shared = {"plan": plan, "seed": values.pop("seed", 3)}
    start(ros, RigNode, **shared, rate=0.5)
    walker: WalkerNode = start(ros, WalkerNode, **shared, **values)
    ros.until(walker.ended.is_set, "the end of the walk", 240)
    assert not walker.fault
    return walker


def alone(plan: str, answers: Any, walk: int, seed: int) -> Episode:
    """The same in one process, without ROS."""
    with Painter() as painter:
        stage = Stage(plan_named(plan), painter)
        return run(stage, stage.building.plan.walks[walk], ModelGuide(ScriptedEngine(answers)), seed)


def test_in_lockstep_it_is_the_walk_of_one_process(ros: Graph, plan: str, tmp_path: Path) -> None:
    record = tmp_path / "walk.json"
    walker = walked(ros, plan, wandering, walk=0, seed=4, record=str(record))
    there = records.from_json(json.loads(record.read_text()))
    here = alone(plan, wandering, 0, 4)
    assert len(here.turns) > 3
    assert [turn.text for turn in there.turns] == [turn.text for turn in here.turns]
    assert [turn.status for turn in there.turns] == [turn.status for turn in here.turns]
    assert {turn.status for turn in here.turns} > {"OK"}, "memory has spoken too"
    assert (there.arrived, there.touches) == (here.arrived, here.touches)
    assert there.time == pytest.approx(here.time)
    assert there.length == pytest.approx(here.length, abs=1e-9)
    for a, b in zip(there.turns, here.turns, strict=True):
        assert (a.x, a.y, a.yaw) == pytest.approx((b.x, b.y, b.yaw), abs=1e-9)
        assert a.people == b.people
    assert walker.walked["arrived"] == there.arrived


def test_a_late_answer_costs_the_way_that_was_walked_meanwhile(ros: Graph, plan: str) -> None:
    ahead = {QUESTION: "Move 2 metres to the exit."}
    delay = 2.0
    walker = walked(ros, plan, ahead, walk=1, lockstep=False, speed=4.0, delay=delay)
    assert walker.walked["arrived"]
    first = walker.walked["turns"][0]
    assert (first["x"], first["y"]) == (8.5, 1.2), "where the picture is of"
    assert first["late"] >= delay - 1e-6
    heard = next(moment for moment in walker.walked["track"] if moment[0] >= first["late"] - 1e-6)
    gone = math.dist((8.5, 1.2), heard[1:3])
    assert gone >= SLOW * delay - 0.1, "the wearer walks on until the answer is there"


class Follower:
    """Plays the wearer, and keeps what the rig sends."""

    def __init__(self, ros: Graph, plan: str, **values: Any) -> None:
        self.ros = ros
        node = ros.node("wearer")
        self.images = ros.collect(node, Image, "image", qos.EVERY_PICTURE)
        self.infos = ros.collect(node, CameraInfo, "camera_info", qos.EVERY_PICTURE)
        self.odometries = ros.collect(node, Odometry, "odom", EVERY_TICK)
        self.imus = ros.collect(node, Imu, "imu", EVERY_TICK)
        self.clocks = ros.collect(node, Clock, "/clock", EVERY_TICK)
        self.rig: RigNode = start(ros, RigNode, plan=plan, seed=3, **values)
        self.wearers = node.create_publisher(PoseStamped, "wearer", EVERY_TICK)
        ros.until(lambda: self.wearers.get_subscription_count() and node.count_publishers("/clock"))
        ros.until(lambda: self.rig.count_subscribers("odom") and self.rig.count_subscribers("image"))

    def at(self, ticks: int, x: float, y: float, yaw: float) -> None:
        before = len(self.clocks)
        pose = PoseStamped()
        pose.header.stamp = stamp_to_ros(EPOCH + ticks * TICK)
        pose.pose.position.x, pose.pose.position.y, pose.pose.orientation = x, y, yaw_to_ros(yaw)
        self.wearers.publish(pose)
        self.ros.until(lambda: len(self.clocks) > before, "the time")


def test_the_rig_shows_what_the_wearer_sees(ros: Graph, plan: str) -> None:
    rig = Follower(ros, plan, rate=5.0, frame_id="chest_optical_frame")
    for k in range(7):
        rig.at(k, 6.0 + 0.08 * k, 1.0, 0.3 + 0.1 * k)
    ros.until(lambda: len(rig.odometries) == 7 and len(rig.imus) == 7)
    stamps = [round(stamp_from_ros(m.header.stamp) - EPOCH, 6) for m in rig.images]
    assert stamps == [0.0, 0.2, 0.4, 0.6]
    assert [stamp_from_ros(m.clock) for m in rig.clocks] == pytest.approx([EPOCH + 0.1 * k for k in range(7)])
    rig.at(6, 6.48, 1.0, 0.9)  # the same again: a look, at once
    ros.until(lambda: len(rig.images) == 5)
    rig.at(7, 6.56, 1.0, 1.0)
    rig.at(7, 6.56, 1.0, 1.0)
    ros.until(lambda: len(rig.images) == 6)
    last = rig.images[-1]
    assert stamp_from_ros(last.header.stamp) == pytest.approx(EPOCH + 0.7)
    assert last.header.frame_id == "chest_optical_frame"
    assert camera_from_ros(rig.infos[-1], CAMERA.width, CAMERA.height) == CAMERA
    with Painter() as painter:
        stage = Stage(plan_named(plan), painter)
        crowd = Crowd.of(stage.building, stage.space)
        for k in range(1, 8):
            crowd.step(TICK, 6.0 + 0.08 * k, 1.0, 0.25)
        expected = stage.picture(crowd, camera_pose(3, 0.7, 6.56, 1.0, 1.0))
    assert np.abs(image_from_ros(last).astype(int) - expected).mean() < 0.5
    counting = Counted(3)
    counted = [counting.step(6.0 + 0.08 * k, 1.0, 0.3 + 0.1 * k) for k in range(8)]
    ros.until(lambda: len(rig.odometries) == 8)
    for message, place in zip(rig.odometries, counted, strict=True):
        pose = message.pose.pose
        assert (pose.position.x, pose.position.y, yaw_from_ros(pose.orientation)) == pytest.approx(place)
    assert rig.imus[3].angular_velocity.z == pytest.approx(1.0)
    assert rig.imus[3].linear_acceleration.z == GRAVITY
    assert rig.odometries[3].twist.twist.linear.x == pytest.approx(0.8)


def test_a_place_that_is_none_moves_nobody(ros: Graph, plan: str) -> None:
    rig = Follower(ros, plan)
    rig.at(0, 6.0, 1.0, 0.0)
    broken = PoseStamped()
    broken.header.stamp = stamp_to_ros(EPOCH + 1.0)
    broken.pose.position.x = math.nan
    rig.wearers.publish(broken)
    rig.at(1, 6.1, 1.0, 0.0)
    assert [stamp_from_ros(m.clock) for m in rig.clocks] == pytest.approx([EPOCH, EPOCH + 0.1])


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"plan": ""}, "plan is empty"),
        ({"plan": "nowhere.yaml"}, "nowhere.yaml"),
        ({"plan": "9" * 30}, "give a seed"),
        ({"plan": "7", "walk": 99}, "walks 0 to"),
    ],
)
def test_what_cannot_be_walked_is_named(ros: Graph, values: dict[str, Any], named: str) -> None:
    with pytest.raises(UserError, match=named):
        start(ros, WalkerNode, **values)


def test_a_guide_that_is_not_there_ends_the_walk(ros: Graph, plan: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GuideState.await_active, "__defaults__", (0.5,))
    walker = start(ros, WalkerNode, plan=plan)
    ros.until(walker.ended.is_set, "the end")
    assert "is not active after 0.5 s; start nav_vlm" in walker.fault


def stand_in(ros: Graph, on_query: Any) -> Any:
    """A guide that is active and answers as the test says."""
    node = ros.node("nav_vlm")

    def state(request: Any, response: Any) -> Any:
        response.current_state.id = State.PRIMARY_STATE_ACTIVE
        return response

    node.create_subscription(Query, "query", on_query, qos.QUESTION)
    node.create_service(GetState, "nav_vlm/get_state", state)
    return node.create_publisher(Msg, "instruction", qos.ANSWER)


def test_a_question_that_was_answered_about_an_older_picture_is_asked_again(ros: Graph, plan: str) -> None:
    """The guide here is a stand-in: it answers the first time about a picture of half a second ago."""
    heard: list[str] = []

    def answer(query: Query) -> None:
        heard.append(query.id)
        message = Msg(query_id=query.id, query=query.text, status=Status.OK.value, text="Turn around.")
        late = 0.5 if len(heard) == 1 else 0.0
        message.header.stamp = stamp_to_ros(stamp_from_ros(query.header.stamp) - late)
        answers.publish(message)

    answers = stand_in(ros, answer)
    start(ros, RigNode, plan=plan, seed=3)
    walker = start(ros, WalkerNode, plan=plan, seed=3)
    ros.until(lambda: len(heard) > 3, "questions")
    walker.stop()
    assert len(set(heard)) == len(heard), "each with an id of its own"
    assert walker.fault == "stopped"


@pytest.mark.parametrize("lockstep", [True, False])
def test_a_guide_that_is_gone_is_not_waited_for_for_ever(
    ros: Graph, plan: str, monkeypatch: pytest.MonkeyPatch, lockstep: bool
) -> None:
    heard: list[str] = []
    whole = WalkerNode._ask

    def ask(self: WalkerNode, situation: Any) -> str:
        monkeypatch.setattr(walker_node, "PATIENCE", 0.2)  # all are there now
        return whole(self, situation)

    monkeypatch.setattr(WalkerNode, "_ask", ask)
    stand_in(ros, lambda query: heard.append(query.id))
    start(ros, RigNode, plan=plan, seed=3)
    walker = start(ros, WalkerNode, plan=plan, seed=3, lockstep=lockstep)
    ros.until(walker.ended.is_set, "the end of the walk")
    assert walker.fault == "waited 0.2 s for the guide's answer"


def test_the_command_walks_with_the_model(ros_domain: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "walk.json"
    assert cli.main(["walk", "--seed", "10100001", "--out", str(out), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    episode = records.from_json(json.loads(out.read_text()))
    assert figures["episodes"] == 1
    assert figures["arrived"] == episode.arrived
    assert episode.turns[0].status in ("OK", "NOT_VISIBLE", "SEARCHING", "UNSURE")


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--seed", "7", "--walk", "99"], "--walk 99"),
        (["--seed", "7", "--speed", "2"], "give --free too"),
        ([], "give the YAML of a floor plan"),
        (["--seed", "7", "--walker", "drunk"], "walker"),
    ],
)
def test_bad_words_are_one_line(words: list[str], named: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["walk", *words]) == 2
    error = capsys.readouterr().err
    assert named in error
    assert "Traceback" not in error
