"""Every exported world in a real Gazebo: it starts, steps exactly, and shows what MuJoCo shows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from nav_vlm_node.view import Camera
from nav_vlm_sim.scene import Pose
from nav_vlm_sim.walks.building import Building
from nav_vlm_sim.walks.floorplan import FloorPlan
from nav_vlm_sim.walks.rig import RIG
from nav_vlm_sim.world import BUILDING_POOL, World
from tests.gazebo_classic.camera import ClassicCamera
from tests.gazebo_classic.server import faults, missing
from tests.gazebo_classic.worlds import DRAWN, NAMES, plan_named
from tests.nav_vlm_sim.gazebo.silhouettes import LEAST, Items, agreement, items_by_colour, whole, worst

pytestmark = [pytest.mark.skipif(bool(missing()), reason=missing() or "it is there"), pytest.mark.timeout(900)]
CAMERA = Camera.from_fov(480, 360, math.radians(90))
MOST_POSES = 4


@pytest.fixture(scope="module", params=NAMES)
def plan(request: pytest.FixtureRequest) -> FloorPlan:
    return plan_named(request.param)


@pytest.fixture(scope="module")
def mujoco() -> Iterator[World]:
    with World(77, pool=BUILDING_POOL) as world:
        yield world


def poses(plan: FloorPlan) -> list[Pose]:
    """Where walks begin, looking as they do, the head tilted a little."""
    return [
        Pose(
            x=walk.x, y=walk.y, height=RIG.camera_height, yaw=math.radians(walk.yaw),
            pitch=RIG.camera_pitch + math.radians(k - 2), roll=math.radians(2 - k),
        )
        for k, walk in enumerate(plan.walks[:MOST_POSES])
    ]  # fmt: skip


def items_of(gazebo: npt.NDArray[np.uint8], building: Building) -> Items:
    return items_by_colour(gazebo, len(building.scene.items))


def test_it_starts_without_faults_and_shows_a_lit_building(plan: FloorPlan, tmp_path: Path) -> None:
    with ClassicCamera(plan, tmp_path, CAMERA) as camera:
        seen = camera.capture(poses(plan)[0])
        made, asked = camera.steps(7)
    assert made == asked
    assert faults(camera.log) == []
    assert seen.shape == (CAMERA.height, CAMERA.width, 3)
    assert 15 < seen.mean() < 240
    assert seen.std() > 5


def test_silhouettes_are_mujocos(plan: FloorPlan, mujoco: World, tmp_path: Path, figures: dict[str, Any]) -> None:
    places = poses(plan)
    with ClassicCamera(plan, tmp_path, CAMERA, silhouettes=True) as camera:
        seen = [items_of(camera.capture(pose), camera.building) for pose in places]
        again = items_of(camera.capture(places[0]), camera.building)
    assert (again == seen[0]).all(), "the same place looks different the second time"
    mujoco.load(camera.building.scene)
    wanted: list[Items] = [mujoco.render(pose, CAMERA).item for pose in places]
    found = [agreement(one, other) for one, other in zip(wanted, seen, strict=True)]
    kinds = [camera.building.scene.items[item].kind for each in found for item in each]
    assert kinds, "there was nothing to compare"
    assert min(map(worst, found)) >= LEAST, found
    figures["worlds"][plan.name] = {
        "items": len(camera.building.scene.items), "pictures": len(places), "compared": len(kinds),
        "iou_worst": round(min(map(worst, found)), 4),
        "iou_mean": round(float(np.mean([value for each in found for value in each.values()])), 4),
        "same_item_share": round(float(np.mean([whole(a, b) for a, b in zip(wanted, seen, strict=True)])), 4),
    }  # fmt: skip


def test_people_are_moved(mujoco: World, tmp_path: Path) -> None:
    plan = plan_named(next(name for name in DRAWN if plan_named(name).things))
    with ClassicCamera(plan, tmp_path, CAMERA, silhouettes=True) as camera:
        building = camera.building
        item = next(k for k, thing in enumerate(building.scene.items) if thing.kind in ("person", "chair"))
        pose = poses(plan)[0]
        ahead = 1.2 * math.cos(pose.yaw), 1.2 * math.sin(pose.yaw)
        seen = items_of(camera.capture(pose, {item: (pose.x + ahead[0], pose.y + ahead[1], 0.5)}), building)
    thing = building.scene.items[item]
    thing.x, thing.y, thing.yaw = pose.x + ahead[0], pose.y + ahead[1], 0.5
    mujoco.load(building.scene)
    wanted: Items = mujoco.render(pose, CAMERA).item
    assert (wanted == item).sum() > 500
    assert agreement(wanted, seen)[item] >= LEAST
