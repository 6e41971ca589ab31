"""Gazebo's world and MuJoCo's are the same: every solid, the camera's pose, its field of view."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nav_vlm_node.view import Camera, Rig
from nav_vlm_sim.gazebo.export import SIMULATORS, WORLD, files_of
from nav_vlm_sim.gazebo.rig import CLIP, Worn
from nav_vlm_sim.gazebo.simulators import CLASSIC, GZ, WEARER, Simulator
from nav_vlm_sim.gazebo.world import start_of
from nav_vlm_sim.scene import Pose
from nav_vlm_sim.walks.building import build
from nav_vlm_sim.walks.floorplan import FloorPlan
from nav_vlm_sim.walks.layout import KINDS
from nav_vlm_sim.walks.procedural import plan_of
from nav_vlm_sim.world import BUILDING_POOL, World
from tests.nav_vlm_sim.gazebo.sdf import Frame, frame_of, reach, solids_of_mujoco, solids_of_sdf, unmatched

CLOSE = 2e-6  # metres


@pytest.fixture(scope="module")
def buildings() -> Iterator[World]:
    with World(77, pool=BUILDING_POOL) as world:
        yield world


def exported(plan: FloorPlan, simulator: Simulator, worn: Worn | None = None, walk: int = 0) -> ET.Element:
    world = ET.fromstring(files_of(plan, simulator, worn=worn, walk=walk)[WORLD]).find("world")
    assert world is not None
    return world


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10**6), st.sampled_from(KINDS))
def test_every_solid_is_in_both(buildings: World, seed: int, kind: str) -> None:
    plan = plan_of(seed, kind)
    buildings.load(build(plan).scene)
    wanted = solids_of_mujoco(buildings)
    assert len(wanted) > 40
    for simulator in SIMULATORS.values():
        world = exported(plan, simulator)
        for tag in ("visual", "collision"):
            found = solids_of_sdf(world, tag)
            assert max(unmatched(wanted, found), default=math.inf) < CLOSE, (simulator.name, tag)
            assert len(found) == len(wanted)


def test_a_moved_wall_and_a_missing_chair_are_seen(buildings: World) -> None:
    plan = plan_of(3)
    buildings.load(build(plan).scene)
    wanted, found = solids_of_mujoco(buildings), solids_of_sdf(exported(plan, GZ), "visual")
    moved = found.copy()
    moved[7, 0] += 0.01
    assert max(unmatched(wanted, moved)) > CLOSE
    assert max(unmatched(wanted, found[:-1])) == math.inf


def test_turned_solids_reach_differently() -> None:
    size = np.array([1.0, 0.4, 0.2])
    upright = Frame(np.zeros(3), np.eye(3))
    c, s = math.cos(0.3), math.sin(0.3)
    for angle_sign in (1, -1):
        turned = Frame(np.zeros(3), np.array([[c, -angle_sign * s, 0], [angle_sign * s, c, 0], [0, 0, 1]]))
        assert np.abs(reach("box", size, upright) - reach("box", size, turned)).max() > 0.05


@pytest.mark.parametrize("simulator", SIMULATORS.values(), ids=list(SIMULATORS))
@pytest.mark.parametrize("walk", [0, 1, 2])
def test_the_camera_is_mujocos(buildings: World, simulator: Simulator, walk: int) -> None:
    plan = plan_of(1)
    camera = Camera.from_fov(160, 90, math.radians(83))
    rig = Rig(camera_pitch=0.21, camera_height=1.32, camera_yaw=-0.3)
    world = exported(plan, simulator, Worn(camera=camera, rig=rig), walk)
    model = next(each for each in world.iter("model") if each.attrib["name"] == WEARER)
    link = model.find("link")
    assert link is not None
    sensors = {each.attrib["name"]: each for each in link.findall("sensor")}
    x, y, yaw = start_of(build(plan), walk)
    pose = Pose(x=x, y=y, height=rig.camera_height, yaw=yaw + rig.camera_yaw, pitch=rig.camera_pitch, roll=0)
    buildings.load(build(plan).scene)
    buildings.render(pose, camera)
    right, up, backwards = buildings.data.cam_xmat[0].reshape(3, 3).T
    for name in ("camera", "depth"):
        frame = frame_of(model).then(frame_of(link)).then(frame_of(sensors[name]))
        assert frame.at == pytest.approx(buildings.data.cam_xpos[0], abs=CLOSE)
        assert frame.turn == pytest.approx(np.stack([-backwards, -right, up], 1), abs=CLOSE)
        lens = sensors[name].find("camera")
        assert lens is not None
        hfov = float(lens.findtext("horizontal_fov", "nan"))
        width, height = (int(lens.findtext(f"image/{side}", "0")) for side in ("width", "height"))
        vfov = 2 * math.atan(math.tan(hfov / 2) * height / width)
        assert math.degrees(vfov) == pytest.approx(buildings.model.cam_fovy[0], abs=1e-4)
        assert hfov == pytest.approx(math.radians(83), abs=1e-6)
        assert (width, height) == (160, 90)
    near = float(sensors["camera"].findtext("camera/clip/near", "nan"))
    assert near == CLIP[0] == pytest.approx(buildings.model.vis.map.znear * buildings.model.stat.extent)
    at_the_lens = frame_of(sensors["imu"]).at
    assert at_the_lens == pytest.approx([0, 0, rig.camera_height])


def test_the_lights_are_mujocos() -> None:
    plan = plan_of(2)
    building = build(plan)
    lamps = [lamp for room in building.lights.values() for lamp in room]
    lights = exported(plan, CLASSIC).findall("light")
    assert len(lights) == len(lamps) == 2 * len(plan.rooms)
    for light, lamp in zip(lights, lamps, strict=True):
        assert frame_of(light).at == pytest.approx(lamp.position, abs=CLOSE)
        direction = [float(word) for word in light.findtext("direction", "").split()]
        assert direction == pytest.approx(lamp.direction, abs=CLOSE)
        assert float(light.findtext("spot/falloff", "nan")) == pytest.approx(lamp.exponent, abs=CLOSE)
