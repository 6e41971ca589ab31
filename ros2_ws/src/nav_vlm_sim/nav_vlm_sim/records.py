"""Frames with their truth, as JSON: what a data set and its shards hold for each picture."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nav_vlm_node.errors import UserError
from nav_vlm_node.instruction import Step
from nav_vlm_node.score_json import step_from_json, step_to_json
from nav_vlm_node.view import Camera, Rectifier, Rig, View, remap, view_map
from nav_vlm_sim.scene import STEP_TIME, Pose, Scene, earlier_viewpoint, sample_viewpoint
from nav_vlm_sim.truth import Observation, Seen, Target, observe
from nav_vlm_sim.world import NOTHING, Render, World

# What a pixel can show, for dense training targets; 0 is outside the real camera's picture.
PIXEL_CLASSES = (
    "outside", "floor", "ceiling", "wall", "door", "open door", "exit", "toilet", "lift", "stairs", "exit sign",
    "picture", "table", "chair", "sofa", "box", "plant", "person", "column",
)  # fmt: skip
CELL = 4  # pixels of the view per cell of the dense targets


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One picture of one scene. raw is what the camera delivers, rgb the model's view of it [H, W, 3] uint8.

    cells: uint8 [H / CELL, W / CELL], index into PIXEL_CLASSES. depth: float16, same shape, metres
    along the optical axis, 0 outside.
    """

    scene: Scene
    index: int
    pose: Pose
    camera: Camera
    rig: Rig
    raw: npt.NDArray[np.uint8]
    rgb: npt.NDArray[np.uint8]
    cells: npt.NDArray[np.uint8]
    depth: npt.NDArray[np.float16]
    observation: Observation


def earlier_pictures(world: World, frame: Frame, count: int) -> list[npt.NDArray[np.uint8]]:
    """What the camera delivered before `frame`, STEP_TIME seconds apart, the oldest first; uint8 RGB each.

    Afterwards `world` has the scene of `frame` loaded again.
    """
    pictures = []
    for back in range(count, 0, -1):
        seconds = back * STEP_TIME
        before = frame.scene.before(seconds)
        world.load(before)
        pose = earlier_viewpoint(before, frame.pose, frame.index, seconds)
        pictures.append(shoot(world, pose, frame.camera, frame.rig).rgb)
    world.load(frame.scene)
    return pictures


def take_frame(
    world: World, scene: Scene, index: int, view: View, *, camera: Camera | None = None, rig: Rig | None = None
) -> Frame:
    """The `index`-th picture of a scene that `world` has loaded.

    camera, rig: instead of the ones that the seed gives; the wearer stands at the same place, faces the same
    way and sways by the same angles. Raises UserError for a camera that cannot be simulated.
    """
    pose, drawn_camera, drawn_rig = sample_viewpoint(scene, index)
    if rig is not None:
        pose = replace(
            pose,
            height=rig.camera_height + (pose.height - drawn_rig.camera_height),
            pitch=rig.camera_pitch + (pose.pitch - drawn_rig.camera_pitch),
        )
    return frame_at(world, scene, index, view, pose, camera or drawn_camera, rig or drawn_rig)


def frame_at(world: World, scene: Scene, index: int, view: View, pose: Pose, camera: Camera, rig: Rig) -> Frame:
    """The picture from a pose in a scene that `world` has loaded, called the `index`-th.

    Raises UserError for a camera that cannot be simulated.
    """
    render = shoot(world, pose, camera, rig)
    observation, _ = observe(scene, pose, camera, rig, view, render)
    pixels = view_map(camera, rig, view)
    middle = slice(CELL // 2, None, CELL)
    cells = _pixel_classes(scene, render, pixels)[middle, middle]
    depth = remap(render.depth, pixels, fill=0.0, nearest=True)[middle, middle]
    rgb = Rectifier(camera, rig, view)(render.rgb)
    return Frame(
        scene=scene, index=index, pose=pose, camera=camera, rig=rig, raw=render.rgb, rgb=rgb,
        cells=cells, depth=depth.astype(np.float16), observation=observation,
    )  # fmt: skip


def shoot(world: World, pose: Pose, camera: Camera, rig: Rig) -> Render:
    """What the camera delivers when it is worn like that, turned and mirrored as `rig` says.

    pose: of the wearer; its pitch and height are the camera's. Raises UserError for a lens that cannot be simulated.
    """
    centred = abs(camera.cx - (camera.width - 1) / 2) < 1e-6 and abs(camera.cy - (camera.height - 1) / 2) < 1e-6
    if any(camera.d) or not centred or abs(camera.fx / camera.fy - 1) > 1e-6:
        raise UserError("the simulated camera has square pixels, a centred lens and no distortion; use Camera.from_fov")
    quarters = rig.image_rotation // 90
    upright = camera
    if quarters % 2:
        upright = replace(camera, width=camera.height, height=camera.width, cx=camera.cy, cy=camera.cx)
    seen = world.render(replace(pose, yaw=pose.yaw + rig.camera_yaw), upright)
    if not quarters and not rig.mirrored:
        return seen
    return Render(*(_delivered(a, rig) for a in (seen.rgb, seen.item, seen.shell, seen.depth)))


def _delivered(upright: npt.NDArray[Any], rig: Rig) -> npt.NDArray[Any]:
    """An upright picture [H, W, ...] the way a camera worn like that delivers it."""
    shown = upright[:, ::-1] if rig.mirrored else upright
    return np.ascontiguousarray(np.rot90(shown, rig.image_rotation // 90))


def _pixel_classes(scene: Scene, render: Render, pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    # What is only in other buildings has no class of its own: it counts as outside, which nothing learns from.
    known = (PIXEL_CLASSES.index(i.kind) if i.kind in PIXEL_CLASSES else 0 for i in scene.items)
    of_item = np.array([*known, 0], np.uint8)
    of_shell = np.full(len(scene.shell) + 1, PIXEL_CLASSES.index("wall"), np.uint8)
    of_shell[:2] = PIXEL_CLASSES.index("floor"), PIXEL_CLASSES.index("ceiling")
    classes = np.where(render.item == NOTHING, of_shell[render.shell], of_item[render.item]).astype(np.uint8)
    return np.asarray(remap(classes, pixels, fill=0, nearest=True), np.uint8)


def rounded(value: float) -> float:
    """To a tenth of a millimetre or of a milliradian: what is kept on disk. NaN stays NaN."""
    return round(float(value), 4)


def rounded_step(step: Step) -> Step:
    """The step with the numbers that are kept on disk."""
    return Step(step.action, rounded(step.bearing), rounded(step.distance), step.landmark)


def _number(value: float) -> float | None:
    return None if math.isnan(value) else rounded(value)


def frame_to_json(frame: Frame) -> dict[str, Any]:
    """Where the picture comes from and all that is true of it."""
    observation = frame.observation
    return {
        "scene": frame.scene.seed,
        "view": frame.index,
        "room": frame.scene.room,
        "texture": frame.scene.family,
        "camera": asdict(frame.camera),
        "rig": asdict(frame.rig),
        "seen": [
            asdict(s) | {"bearing": _number(s.bearing), "distance": _number(s.distance)}
            for s in observation.seen
            if s.pixels
        ],
        "targets": [
            {
                "name": t.name,
                "visible": t.visible,
                "bearing_rad": _number(t.bearing),
                "distance_m": _number(t.distance),
                "hazards": [step_to_json(rounded_step(h)) for h in t.hazards],
            }
            for t in observation.targets.values()
        ],
        "ahead": step_to_json(rounded_step(observation.ahead)) if observation.ahead else None,
        "ahead_known": observation.ahead_known,
    }


def observation_from_json(data: dict[str, Any]) -> Observation:
    """The observation that `frame_to_json` wrote."""
    targets = {
        t["name"]: Target(
            t["name"],
            t["visible"],
            math.nan if t["bearing_rad"] is None else t["bearing_rad"],
            math.nan if t["distance_m"] is None else t["distance_m"],
            tuple(step_from_json(h) for h in t["hazards"]),
        )
        for t in data["targets"]
    }
    ahead = step_from_json(data["ahead"]) if data["ahead"] else None
    return Observation(tuple(Seen(**s) for s in data["seen"]), targets, ahead, data["ahead_known"])
