"""Scenes by seed: sound rooms, the same again, held-out material kept apart."""

from __future__ import annotations

import itertools
import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nav_vlm_sim import furniture, textures
from nav_vlm_sim.furniture import Item
from nav_vlm_sim.scene import HELD_OUT_ROOM, ROOM_SHARE, ROOMS, Scene, sample_scene, sample_viewpoint, wall_distance
from nav_vlm_sim.world import POOL

seeds = st.integers(0, 2**53)
sampled = settings(max_examples=40, deadline=None)


def plain(scene: Scene) -> str:
    return repr(
        [
            (i.kind, i.x, i.y, i.yaw, i.arrow, [(p.position, p.size, p.rgb.tolist()) for p in i.parts])
            for i in scene.items
        ]
    )


def overlap(one: Item, other: Item) -> float:
    """Square metres that two footprints share."""
    area, _ = cv2.intersectConvexConvex(one.corners().astype(np.float32), other.corners().astype(np.float32))
    return float(area)


@sampled
@given(seeds)
def test_a_seed_is_a_scene(seed: int) -> None:
    one, again, next_ = sample_scene(seed), sample_scene(seed), sample_scene(seed + 1)
    assert plain(one) == plain(again)
    assert plain(one) != plain(next_)
    assert sample_viewpoint(one, 1) == sample_viewpoint(again, 1)
    assert sample_viewpoint(one, 1) != sample_viewpoint(one, 2)


@sampled
@given(seeds, st.sampled_from([None, *ROOMS]))
def test_things_stand_in_the_room_and_not_in_each_other(seed: int, room: str | None) -> None:
    scene = sample_scene(seed, room=room)
    on_floor = [item for item in scene.items if item.kind in (*furniture.ON_FLOOR, "column")]
    for item in on_floor:
        assert (np.abs(item.corners()) <= np.array(scene.half) + 1e-6).all()
    for one, other in itertools.combinations(on_floor, 2):
        assert overlap(one, other) == 0
    for item in scene.items:
        assert item.height <= scene.height
        if item.kind in furniture.DOORS or item.kind in ("lift", "exit sign", "picture"):
            to_wall = min(abs(abs(item.x) - scene.half[0]), abs(abs(item.y) - scene.half[1]))
            assert to_wall < 1e-6
            facing = wall_distance(scene, item.x * 0.999, item.y * 0.999, item.yaw)
            assert facing > 1.0, "it faces the room"


@sampled
@given(seeds, st.sampled_from([None, *ROOMS]))
def test_a_scene_fits_the_pool_of_solids(seed: int, room: str | None) -> None:
    scene = sample_scene(seed, room=room)
    shapes = [p.shape for p in scene.shell] + [p.shape for item in scene.items for p in item.parts]
    for shape in set(shapes):
        assert shapes.count(shape) <= POOL[shape]


@sampled
@given(seeds, st.integers(0, 5))
def test_nobody_stands_in_the_furniture(seed: int, view: int) -> None:
    scene = sample_scene(seed)
    pose, camera, rig = sample_viewpoint(scene, view)
    assert abs(pose.x) < scene.half[0]
    assert abs(pose.y) < scene.half[1]
    assert math.radians(59.9) < camera.hfov < math.radians(110.1)
    assert abs(pose.height - rig.camera_height) < 0.2
    here = Item("viewer", [], furniture.rectangle(0.15, 0.15), 1.7, x=pose.x, y=pose.y)
    for item in scene.items:
        if len(item.footprint):
            assert overlap(here, item) == 0


def test_held_out_material_is_never_drawn_by_itself() -> None:
    assert HELD_OUT_ROOM not in ROOM_SHARE
    assert sum(ROOM_SHARE.values()) == pytest.approx(1.0)
    assert {sample_scene(seed).room for seed in range(60)} == set(ROOM_SHARE)
    assert not set(textures.FAMILIES["train"]) & set(textures.FAMILIES["heldout"])
    assert all(i.kind != "column" for seed in range(60) for i in sample_scene(seed).items)
    assert any(i.kind == "column" for seed in range(9) for i in sample_scene(seed, room=HELD_OUT_ROOM).items)


def test_a_held_out_scene_is_lit_otherwise() -> None:
    for seed in range(20):
        usual, other = sample_scene(seed), sample_scene(seed, family="heldout")
        assert all(light.position[2] > usual.height - 0.2 for light in usual.lights)
        assert all(light.position[2] < 2.0 for light in other.lights)


@pytest.mark.parametrize("family", ["train", "heldout"])
def test_surfaces_are_nearly_white_patterns(family: str) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        pattern = textures.surface(rng, family)
        assert pattern.shape == (textures.SIZE, textures.SIZE, 3)
        assert pattern.mean() > 120
