"""What is drawn: distances, identities, signs, and the same again for the same seed."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nav_vlm_node.errors import UserError
from nav_vlm_node.view import Camera, Rectifier, Rig
from nav_vlm_sim import furniture
from nav_vlm_sim.records import shoot, take_frame
from nav_vlm_sim.scene import sample_scene
from nav_vlm_sim.world import NOTHING, World, camera_axes
from tests.nav_vlm_sim.hand_built import RIG, VIEW, crate, empty_room, look, put, standing

drawn = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def points_of(
    render_depth: npt.NDArray[np.float32], camera: Camera, axes: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """[H, W, 3] what each pixel shows, from the camera, in the room's directions."""
    v, u = np.mgrid[0 : camera.height, 0 : camera.width]
    right, down = (u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy
    rays = right[..., None] * axes[:, 0] - down[..., None] * axes[:, 1] - axes[:, 2]
    return np.asarray(rays * render_depth[..., None])


@drawn
@given(
    pitch=st.floats(-20, 30), roll=st.floats(-5, 5), yaw=st.floats(-3, 3),
    hfov=st.floats(50, 115), size=st.sampled_from([(160, 120), (240, 136), (96, 128)]),
)  # fmt: skip
def test_depth_is_the_distance_along_the_optical_axis(
    world: World, pitch: float, roll: float, yaw: float, hfov: float, size: tuple[int, int]
) -> None:
    scene = empty_room((4.0, 5.0))
    pose = standing(0.5, -1.0, yaw, pitch=math.radians(pitch), roll=math.radians(roll))
    camera = Camera.from_fov(*size, math.radians(hfov))
    _, _, render = look(world, scene, pose, camera)
    points = points_of(render.depth, camera, camera_axes(pose)) + (pose.x, pose.y, pose.height)
    for shell, (axis, where) in enumerate([(2, 0.0), (2, 2.8), (0, 4.0), (0, -4.0), (1, 5.0), (1, -5.0)]):
        shown = points[render.shell == shell]
        if len(shown):
            assert np.abs(shown[:, axis] - where).max() < 0.02


@pytest.mark.parametrize("distance", [0.4, 1.0, 3.0, 7.5, 11.5])
def test_depth_of_a_thing_straight_ahead(world: World, distance: float) -> None:
    pose = standing(x=-5.8, pitch=0.0)
    item = put(crate(0.1, 2.0), 0.0, distance + 0.1, pose)
    scene = replace(empty_room(), items=[item])
    _, _, render = look(world, scene, pose)
    middle = render.depth[120, 160]
    assert render.item[120, 160] == 0
    assert middle == pytest.approx(distance, abs=0.01)


def test_every_pixel_knows_what_it_shows(world: World) -> None:
    scene = sample_scene(4242)
    pose = standing()
    _, _, render = look(world, scene, pose)
    assert ((render.item != NOTHING) ^ (render.shell != NOTHING)).all()


@pytest.mark.parametrize("hfov", [60, 90, 110])
@pytest.mark.parametrize("size", [(320, 240), (426, 240), (240, 320)])
@pytest.mark.parametrize("bearing", [-25, 0, 12, 27])
def test_the_rectified_column_is_the_bearing_whatever_the_camera(
    world: World, hfov: float, size: tuple[int, int], bearing: float
) -> None:
    pose = standing()
    item = put(crate(0.1, 0.9), math.radians(bearing), 3.0, pose)
    camera = Camera.from_fov(*size, math.radians(hfov))
    observation, items, render = look(world, replace(empty_room(), items=[item]), pose, camera)
    columns = np.flatnonzero((items == 0).any(0))
    assert math.degrees(VIEW.bearings()[columns].mean()) == pytest.approx(bearing, abs=1.5)
    assert math.degrees(observation.targets["box"].bearing) == pytest.approx(bearing, abs=0.01)
    # and so it is in the picture that the model gets
    picture = Rectifier(camera, RIG, VIEW)(render.rgb).astype(int)
    reddish = picture[..., 0] - picture[..., 2] > 40
    assert math.degrees(VIEW.bearings()[np.flatnonzero(reddish.sum(0) > 3)].mean()) == pytest.approx(bearing, abs=1.5)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_however_the_camera_is_worn_the_model_sees_the_same(world: World, rotation: int, mirrored: bool) -> None:
    pose = standing()
    item = put(crate(0.2, 0.9), 0.4, 3.0, pose)
    scene = replace(empty_room(), items=[item])
    upright = Camera.from_fov(240, 240, math.radians(90))
    plain, _, render = look(world, scene, pose, upright)
    expected = Rectifier(upright, RIG, VIEW)(render.rgb).astype(int)
    worn = replace(RIG, image_rotation=rotation, mirrored=mirrored)
    observation, _, delivered = look(world, scene, pose, upright, worn)
    assert (rotation, mirrored) == (0, False) or (delivered.rgb != render.rgb).any()
    assert np.abs(Rectifier(upright, worn, VIEW)(delivered.rgb).astype(int) - expected).mean() < 1.0
    assert observation.targets["box"].bearing == plain.targets["box"].bearing
    assert observation.targets["box"].visible


def test_a_camera_worn_askew_still_tells_where_the_wearer_faces(world: World) -> None:
    pose = standing()
    item = put(crate(0.2, 0.9), 0.3, 3.0, pose)
    scene = replace(empty_room(), items=[item])
    observation, items, _ = look(world, scene, pose, rig=replace(RIG, camera_yaw=math.radians(20)))
    assert observation.targets["box"].bearing == pytest.approx(0.3)
    columns = np.flatnonzero((items == 0).any(0))
    assert VIEW.bearings()[columns].mean() == pytest.approx(0.3, abs=math.radians(1.5))


def arrow_of(sign: npt.NDArray[np.uint8]) -> str:
    """Where the arrow in a picture of a sign points: it is the largest white shape, and widest near its tip."""
    bright = (sign[..., 0] > 0.6 * sign[..., 0].max()).astype(np.uint8)
    white = cv2.copyMakeBorder(bright, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
    cv2.floodFill(white, None, (0, 0), 0)  # the sign's own frame
    _, labels, stats, _ = cv2.connectedComponentsWithStats(white)
    arrow = labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    across, down = arrow.sum(0), arrow.sum(1)
    x, y = np.flatnonzero(across), np.flatnonzero(down)
    wide, tall = np.ptp(x) + 1, np.ptp(y) + 1
    if tall > wide:
        return "ahead" if down.argmax() < y.mean() else "behind"
    return "left" if across.argmax() < x.mean() else "right"


@pytest.mark.parametrize("arrow", ["left", "right", "ahead"])
@pytest.mark.parametrize("wall_yaw", [0.0, math.pi / 2, math.pi, -math.pi / 2])
@pytest.mark.parametrize("seed", [1, 2])
def test_the_arrow_points_the_way_the_truth_says(world: World, arrow: str, wall_yaw: float, seed: int) -> None:
    scene = empty_room()
    sign = furniture.exit_sign(np.random.default_rng(seed), arrow)
    sign.yaw = wall_yaw
    sign.x, sign.y = -6.0 * math.cos(wall_yaw), -6.0 * math.sin(wall_yaw)
    heading = wall_yaw + math.pi
    pose = standing(sign.x - 2.0 * math.cos(heading), sign.y - 2.0 * math.sin(heading), heading, pitch=-0.2)
    camera = Camera.from_fov(640, 480, math.radians(70))
    observation, _, render = look(world, replace(scene, items=[sign]), pose, camera)
    rows, columns = np.nonzero(render.item == 0)
    crop = render.rgb[rows.min() + 4 : rows.max() - 3, columns.min() + 4 : columns.max() - 3]
    assert arrow_of(np.ascontiguousarray(crop)) == arrow
    assert [s.arrow for s in observation.seen] == [arrow]


def test_an_arrow_is_told_only_where_it_can_be_read(world: World) -> None:
    scene = empty_room((9.0, 6.0))
    sign = furniture.exit_sign(np.random.default_rng(1), "left")
    sign.x, sign.y, sign.yaw = 9.0, 0.0, math.pi
    scene = replace(scene, items=[sign])
    assert look(world, scene, standing(x=5.0))[0].seen[0].arrow == "left"
    assert look(world, scene, standing(x=-5.0))[0].seen[0].arrow == "", "14 metres away"
    assert look(world, scene, standing(x=8.5, y=-3.0, yaw=math.radians(75)))[0].seen[0].arrow == "", "from the side"


def test_the_same_seed_gives_the_same_picture_in_any_order() -> None:
    def shot(world: World, seed: int) -> npt.NDArray[np.uint8]:
        scene = sample_scene(seed)
        world.load(scene)
        return take_frame(world, scene, 0, VIEW).raw

    with World(3) as one:
        first, second = shot(one, 3 * 48), shot(one, 3 * 48 + 1)
        again = shot(one, 3 * 48)
    assert (first == again).all()
    with World(3) as fresh, World(4) as other:
        assert (shot(fresh, 3 * 48 + 1) == second).all()
        elsewhere = shot(other, 3 * 48)
        assert (shot(fresh, 3 * 48) == first).all()
    assert elsewhere.shape == first.shape
    assert (elsewhere != first).any(), "another world has other surfaces"


def test_closing_one_world_leaves_the_others_alone(world: World) -> None:
    scene = replace(empty_room(), items=[put(crate(), 0.0, 2.0, standing())])
    before = look(world, scene, standing())[2].rgb
    other = World(5)
    other.load(scene)
    look(world, scene, standing())
    other.close()
    other.close()
    assert (look(world, scene, standing())[2].rgb == before).all()


def test_another_camera_keeps_the_place() -> None:
    with World(3) as world:
        scene = sample_scene(150)
        world.load(scene)
        own = take_frame(world, scene, 1, VIEW)
        camera, rig = Camera.from_fov(320, 180, 1.2), Rig(camera_pitch=0.3, camera_height=1.0)
        other = take_frame(world, scene, 1, VIEW, camera=camera, rig=rig)
    assert (other.pose.x, other.pose.y, other.pose.yaw, other.pose.roll) == (
        own.pose.x,
        own.pose.y,
        own.pose.yaw,
        own.pose.roll,
    )
    assert other.raw.shape == (180, 320, 3)
    assert (other.camera, other.rig) == (camera, rig)
    assert other.pose.pitch - 0.3 == pytest.approx(own.pose.pitch - own.rig.camera_pitch)
    assert other.pose.height - 1.0 == pytest.approx(own.pose.height - own.rig.camera_height)


def test_cameras_that_cannot_be_drawn_are_refused(world: World) -> None:
    world.load(empty_room())
    bent = replace(Camera.from_fov(160, 120, 1.5), d=(0.1, 0.0, 0.0, 0.0))
    shifted = replace(Camera.from_fov(160, 120, 1.5), cx=70.0)
    for camera in (bent, shifted):
        with pytest.raises(UserError, match="no distortion"):
            shoot(world, standing(), camera, RIG)
    with pytest.raises(ValueError, match="1280"):
        world.render(standing(), Camera.from_fov(1300, 400, 1.5))
