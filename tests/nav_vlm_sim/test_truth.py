"""The truth of a picture, against geometry done in another way."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from nav_vlm_node.instruction import Action, Step
from nav_vlm_sim import furniture
from nav_vlm_sim.scene import Pose, Scene, sample_scene, sample_viewpoint
from nav_vlm_sim.truth import TARGETS, Observation, Target, decided, guide_steps, wrap
from nav_vlm_sim.world import World
from tests.nav_vlm_sim.hand_built import (
    CAMERA,
    VIEW,
    crate,
    door_on_far_wall,
    empty_room,
    look,
    mirrored,
    put,
    standing,
)

drawn = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
degrees = st.floats(-38, 38)
COLUMN = VIEW.hfov / VIEW.width  # radians


def with_items(scene: Scene, *items: furniture.Item) -> Scene:
    return replace(scene, items=list(items))


def first_touch(item: furniture.Item, pose: Pose, bearing: float) -> float:
    """Metres along `bearing` until the item's square is met, by walking there in centimetres."""
    angle = pose.yaw + bearing
    for t in np.arange(0.0, 12.0, 0.01):
        x, y = pose.x + t * math.cos(angle) - item.x, pose.y + t * math.sin(angle) - item.y
        c, s = math.cos(item.yaw), math.sin(item.yaw)
        if abs(x * c + y * s) <= item.footprint[:, 0].max() and abs(-x * s + y * c) <= item.footprint[:, 1].max():
            return float(t)
    raise AssertionError("never touched")


@drawn
@given(bearing=degrees, distance=st.floats(1.5, 5.0), heading=st.floats(-3.1, 3.1), turned=st.floats(-3.1, 3.1))
def test_bearing_and_distance_are_where_the_thing_was_put(
    world: World, bearing: float, distance: float, heading: float, turned: float
) -> None:
    pose = standing(yaw=heading)
    item = put(crate(), math.radians(bearing), distance, pose, yaw=turned)
    observation, _, _ = look(world, with_items(empty_room(), item), pose)
    target = observation.targets["box"]
    assert target.visible
    assert math.degrees(target.bearing) == pytest.approx(bearing, abs=0.01)
    assert target.distance == pytest.approx(first_touch(item, pose, math.radians(bearing)), abs=0.011)
    assert not target.hazards


@drawn
@given(bearing=degrees, pitch=st.floats(-8, 22), roll=st.floats(-3, 3))
def test_pitch_and_roll_change_no_bearing(world: World, bearing: float, pitch: float, roll: float) -> None:
    pose = standing(pitch=math.radians(pitch), roll=math.radians(roll))
    item = put(crate(), math.radians(bearing), 3.5, pose)
    observation, items, _ = look(world, with_items(empty_room(), item), pose)
    assert math.degrees(observation.targets["box"].bearing) == pytest.approx(bearing, abs=0.01)
    columns = np.flatnonzero((items == 0).any(0))
    middle = math.degrees(VIEW.bearings()[columns].mean())
    assert middle == pytest.approx(bearing, abs=1.5 + 1.2 * abs(roll)), (
        "the view is levelled; only the roll is not known"
    )


def test_what_is_beside_the_view_is_not_visible(world: World) -> None:
    pose = standing()
    for bearing in (75, -75, 170):
        item = put(crate(), math.radians(bearing), 3.0, pose)
        observation, _, _ = look(world, with_items(empty_room(), item), pose)
        assert observation.targets["box"].visible is False


def test_what_shows_in_part_is_pointed_at_where_it_shows(world: World) -> None:
    pose = standing()
    sofa = put(crate(half=1.0, tall=0.8, kind="sofa"), math.radians(52), 3.0, pose)
    observation, items, _ = look(world, with_items(empty_room(), sofa), pose)
    columns = VIEW.bearings()[np.flatnonzero((items == 0).any(0))]
    seen = observation.targets["sofa"]
    assert seen.visible
    assert columns.min() - 1e-9 <= seen.bearing <= columns.max() + 1e-9
    assert seen.bearing < math.radians(50)


def test_occlusion_hides(world: World) -> None:
    pose, room = standing(), empty_room()
    small = put(crate(0.15, 0.5), 0.1, 4.0, pose)
    screen = put(crate(0.6, 1.6, "sofa"), 0.1, 2.0, pose)
    seen_alone = look(world, with_items(room, small), pose)[0]
    hidden = look(world, with_items(room, small, screen), pose)[0]
    assert seen_alone.targets["box"].visible is True
    assert hidden.targets["box"].visible is False
    assert hidden.targets["sofa"].visible is True


def test_what_is_hidden_for_the_most_part_is_asked_about_by_nobody(world: World) -> None:
    pose, room = standing(), empty_room()
    behind = put(crate(0.3, 1.6), 0.0, 4.0, pose)
    screen = put(crate(0.5, 1.45, "sofa"), 0.0, 2.0, pose)
    observation = look(world, with_items(room, behind, screen), pose)[0]
    assert observation.targets["box"].visible is None
    assert not decided(observation, "box")


@drawn
@given(aside=st.floats(-1.5, 1.5), along=st.floats(1.2, 3.5))
def test_a_hazard_is_what_stands_in_a_corridor_of_80_centimetres(world: World, aside: float, along: float) -> None:
    assume(abs(abs(aside) - 0.6) > 0.03)  # half of the corridor and half of the crate
    scene, pose = empty_room(), standing()
    door = door_on_far_wall(scene)
    obstacle = crate(0.2, 0.6)
    obstacle.x, obstacle.y = along, aside
    observation = look(world, with_items(scene, door, obstacle), pose)[0]
    assume(observation.targets["door"].visible)
    assume(observation.seen[1].pixels > 20)
    hazards = observation.targets["door"].hazards
    if abs(aside) > 0.6:
        assert not hazards
    else:
        assert [(h.action, h.landmark) for h in hazards] == [(Action.CAUTION, "box")]
        assert hazards[0].distance == pytest.approx(along - 0.2, abs=0.02)
        assert math.tan(hazards[0].bearing) == pytest.approx(aside / along, abs=0.25)


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize(("aside", "in_the_way"), [(0.57, True), (0.63, False)])
def test_the_corridor_ends_at_40_centimetres(world: World, side: int, aside: float, in_the_way: bool) -> None:
    scene, obstacle = empty_room(), crate(0.2, 0.6)
    obstacle.x, obstacle.y = 2.0, side * aside
    observation = look(world, with_items(scene, door_on_far_wall(scene), obstacle), standing())[0]
    assert bool(observation.targets["door"].hazards) == in_the_way
    assert (observation.ahead is not None) == in_the_way


def test_hazards_come_nearest_first_and_end_at_the_target(world: World) -> None:
    scene, pose = empty_room(), standing()
    near, far, beyond = crate(0.2, 0.5), crate(0.2, 0.5, "chair"), crate(0.2, 0.5, "plant")
    near.x, near.y, far.x, far.y, beyond.x, beyond.y = 1.6, 0.25, 2.8, -0.3, 5.0, 0.3
    goal = crate(0.3, 1.0, "person")
    goal.x = 4.0
    observation = look(world, with_items(scene, far, beyond, near, goal), pose)[0]
    assert [h.landmark for h in observation.targets["person"].hazards] == ["box", "chair"]
    steps = guide_steps(observation, "person")
    assert [s.action for s in steps] == [Action.CAUTION, Action.TURN, Action.MOVE]
    assert steps[0].landmark == "box"


@pytest.mark.parametrize(("distance", "said"), [(1.0, True), (2.5, True), (4.0, False)])
def test_ahead_is_the_wall_within_3_metres(world: World, distance: float, said: bool) -> None:
    observation = look(world, empty_room(), standing(x=6.0 - distance))[0]
    assert observation.ahead_known
    if said:
        assert observation.ahead is not None
        assert observation.ahead == Step(Action.CAUTION, 0.0, observation.ahead.distance, "wall")
        assert observation.ahead.distance == pytest.approx(distance)
    else:
        assert observation.ahead is None


def test_ahead_names_what_comes_first(world: World) -> None:
    pose = standing(x=4.0)
    scene = empty_room()
    door = door_on_far_wall(scene)
    ahead = look(world, with_items(scene, door), pose)[0].ahead
    assert ahead is not None
    assert ahead.landmark == "door"
    assert ahead.distance == pytest.approx(2.0)
    column = put(crate(0.2, 2.8, "column"), 0.1, 1.2, pose)
    ahead = look(world, with_items(scene, door, column), pose)[0].ahead
    assert ahead is not None
    assert ahead.landmark == "wall"
    assert ahead.distance == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("side", [1, -1])
def test_the_leaf_of_an_open_door_is_in_the_way(world: World, side: int) -> None:
    """The truth's leaf stands where the drawn one does: what the depth render meets is what is told."""
    scene = empty_room()
    for seed in range(40):
        door = furniture.open_door(np.random.default_rng(seed))
        door.x, door.y, door.yaw = 6.0, 2.0 * side, math.pi
        reach = door.leaf_corners()
        if reach[:, 0].min() < 5.4 and (reach[:, 1].mean() - door.y) * side < 0:
            break
    edge = reach[np.abs(reach[:, 1]).argmin()]
    pose = standing(x=3.2, y=float(edge[1]) + 0.2 * side)
    observation, _, render = look(world, with_items(scene, door), pose)
    ahead = observation.ahead
    assert ahead is not None
    assert ahead.landmark == "open door"
    assert ahead.distance < 6.0 - 3.2 - 0.3
    middle = render.depth[render.item == 0]
    assert ahead.distance == pytest.approx(float(middle.min()), abs=0.35)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**40), view=st.integers(0, 2))
def test_a_mirrored_scene_has_mirrored_truth(world: World, seed: int, view: int) -> None:
    scene = sample_scene(seed)
    pose, camera, rig = sample_viewpoint(scene, view)
    there = replace(pose, y=-pose.y, yaw=-pose.yaw, roll=-pose.roll)
    one, items, _ = look(world, scene, pose, camera, rig)
    other, flipped, _ = look(world, mirrored(scene), there, camera, rig)
    assert (items != flipped[:, ::-1]).mean() < 0.02, "edges may fall to the neighbouring pixel"
    for name in TARGETS:
        a, b = one.targets[name], other.targets[name]
        if a.visible is None or b.visible is None:
            continue
        assert a.visible == b.visible
        if a.visible:
            assert abs(wrap(a.bearing + b.bearing)) < 2 * COLUMN
            assert a.distance == pytest.approx(b.distance, abs=0.15)
            assert [h.landmark for h in a.hazards] == [h.landmark for h in b.hazards]
    assert {s.arrow for s in one.seen} - {""} == {
        {"left": "right", "right": "left"}.get(s.arrow, s.arrow) for s in other.seen
    } - {""}


def test_two_of_a_kind_at_the_same_distance_are_not_asked_about(world: World) -> None:
    pose, scene = standing(), empty_room()
    left, right = put(crate(), 0.4, 3.0, pose), put(crate(), -0.4, 3.2, pose)
    assert look(world, with_items(scene, left, right), pose)[0].targets["box"].visible is None
    put(right, -0.4, 4.5, pose)
    nearest = look(world, with_items(scene, left, right), pose)[0].targets["box"]
    assert nearest.visible
    assert nearest.bearing == pytest.approx(0.4)


# ---- what to say, without pictures -------------------------------------------------------------


def observation_of(*shown: Target, arrow: str = "") -> Observation:
    from nav_vlm_sim.truth import Seen

    targets = {name: Target(name, False) for name in TARGETS} | {target.name: target for target in shown}
    sign = targets["exit sign"]
    seen = (Seen(0, "exit sign", True, sign.bearing, sign.distance, 100, arrow),) if sign.visible else ()
    return Observation(seen, targets, None, True)


CHAIR = Step(Action.CAUTION, 0.3, 1.5, "chair")
SIGN = Target("exit sign", True, -0.5, 4.0, (CHAIR,))
OPENING = Target("open door", True, 0.7, 3.0)


def test_unseen_target_without_evidence_is_looked_for() -> None:
    assert guide_steps(observation_of(), "chair") == (Step(Action.NOT_VISIBLE, landmark="chair"), Step(Action.SCAN))
    # a sign to the exit says nothing about chairs
    assert guide_steps(observation_of(SIGN, arrow="left"), "chair")[-1].action is Action.SCAN
    assert guide_steps(observation_of(OPENING), "table")[-1].action is Action.SCAN


@pytest.mark.parametrize(("arrow", "bearing"), [("left", math.pi / 2), ("right", -math.pi / 2), ("ahead", 0.0)])
def test_an_exit_sign_is_the_way_to_an_unseen_exit(arrow: str, bearing: float) -> None:
    assert guide_steps(observation_of(SIGN, arrow=arrow), "exit") == (
        CHAIR,
        Step(Action.NOT_VISIBLE, landmark="exit"),
        Step(Action.TURN, -0.5),
        Step(Action.MOVE, 0.0, 4.0, "exit sign"),
        Step(Action.SIGN, bearing, landmark="exit sign"),
    )


def test_an_arrow_that_cannot_be_read_is_not_told() -> None:
    steps = guide_steps(observation_of(SIGN), "exit")
    assert Action.SIGN not in {step.action for step in steps}


@pytest.mark.parametrize("name", ["exit", "lift", "stairs", "toilet"])
def test_an_open_door_may_lead_to_places(name: str) -> None:
    steps = guide_steps(observation_of(OPENING), name)
    assert [s.action for s in steps] == [Action.NOT_VISIBLE, Action.TURN, Action.MOVE]
    assert steps[-1].landmark == "open door"


def test_what_is_not_known_gets_no_direction() -> None:
    assert guide_steps(observation_of(SIGN, OPENING), "swimming pool") == (Step(Action.UNKNOWN),)


def test_uncertain_evidence_is_asked_about_by_nobody() -> None:
    unsure = Target("exit sign", None)
    assert not decided(observation_of(unsure), "exit")
    assert decided(observation_of(unsure), "chair")
    assert decided(observation_of(SIGN, Target("open door", None)), "exit")
    assert not decided(observation_of(Target("open door", None)), "lift")


def test_camera_of_the_tests_shows_what_they_put_in_view() -> None:
    assert math.degrees(CAMERA.hfov) / 2 > 38 + 5
