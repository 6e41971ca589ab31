"""Rooms built by hand, so that what must be true in them is known without the code under test."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from nav_vlm_node.view import Camera, Rig, View
from nav_vlm_sim import furniture
from nav_vlm_sim.furniture import Item, Part
from nav_vlm_sim.records import shoot
from nav_vlm_sim.scene import Light, Pose, Scene
from nav_vlm_sim.truth import Observation, observe
from nav_vlm_sim.world import Render, World

VIEW = View()
CAMERA = Camera.from_fov(320, 240, math.radians(95))
RIG = Rig(camera_pitch=math.radians(10), camera_height=1.4)
GREY = np.full(3, 0.6)


def empty_room(half: tuple[float, float] = (6.0, 6.0), height: float = 2.8) -> Scene:
    """Floor, ceiling and four walls; nothing in it."""
    x, y = half
    up = height / 2
    shell = [
        Part("box", (0, 0, -0.05), (x, y, 0.05), GREY),
        Part("box", (0, 0, height + 0.05), (x, y, 0.05), GREY),
        Part("box", (x + 0.05, 0, up), (0.05, y, up), GREY),
        Part("box", (-x - 0.05, 0, up), (0.05, y, up), GREY),
        Part("box", (0, y + 0.05, up), (x, 0.05, up), GREY),
        Part("box", (0, -y - 0.05, up), (x, 0.05, up), GREY),
    ]
    lights = [Light((dx, 0, height - 0.2), (0, 0, -1), (0.3, 0.3, 0.3), 0) for dx in (-1, 1)]
    return Scene(0, "room", "train", half, height, shell, [], lights, ambient=0.6, headlight=0.3)


def crate(half: float = 0.2, tall: float = 0.8, kind: str = "box") -> Item:
    """A cube-like thing of known size, at the room's middle."""
    part = Part("box", (0, 0, tall / 2), (half, half, tall / 2), np.array([0.8, 0.3, 0.2]))
    return Item(kind, [part], furniture.rectangle(half, half), tall)


def door_on_far_wall(scene: Scene, y: float = 0.0, kind: str = "door") -> Item:
    """A door in the wall that one sees from the middle, looking along x."""
    item = furniture.door(np.random.default_rng(5), kind)
    item.x, item.y, item.yaw = scene.half[0], y, math.pi
    return item


def put(item: Item, bearing: float, distance: float, pose: Pose, yaw: float | None = None) -> Item:
    """Places the item's middle there (radians, metres, from the wearer); it faces the wearer unless yaw is given."""
    angle = pose.yaw + bearing
    item.x, item.y = pose.x + distance * math.cos(angle), pose.y + distance * math.sin(angle)
    item.yaw = angle + math.pi if yaw is None else yaw
    return item


def standing(
    x: float = 0.0, y: float = 0.0, yaw: float = 0.0, *, pitch: float = RIG.camera_pitch, roll: float = 0.0
) -> Pose:
    """A wearer there, the camera at 1.4 m."""
    return Pose(x=x, y=y, height=1.4, yaw=yaw, pitch=pitch, roll=roll)


def look(
    world: World, scene: Scene, pose: Pose, camera: Camera = CAMERA, rig: Rig | None = None
) -> tuple[Observation, npt.NDArray[np.int16], Render]:
    """The truth, the item map in the model's view, and the render."""
    worn = rig or replace(RIG, camera_pitch=pose.pitch)
    world.load(scene)
    render = shoot(world, pose, camera, worn)
    observation, items = observe(scene, pose, camera, worn, VIEW, render)
    return observation, items, render


def mirrored(scene: Scene) -> Scene:
    """The scene with left and right exchanged (y of the room negated); arrows of signs are exchanged too."""
    return replace(
        scene,
        shell=[_mirrored_part(part) for part in scene.shell],
        items=[
            replace(
                item,
                parts=[_mirrored_part(part) for part in item.parts],
                footprint=(item.footprint * (1, -1))[::-1],
                leaf=(item.leaf * (1, -1))[::-1],
                arrow={"left": "right", "right": "left"}.get(item.arrow, item.arrow),
                y=-item.y,
                yaw=-item.yaw,
            )
            for item in scene.items
        ],
    )


def _mirrored_part(part: Part) -> Part:
    x, y, z = part.position
    material = {"exit_left": "exit_right", "exit_right": "exit_left"}.get(part.material, part.material)
    return replace(part, position=(x, -y, z), yaw=-part.yaw, material=material)
