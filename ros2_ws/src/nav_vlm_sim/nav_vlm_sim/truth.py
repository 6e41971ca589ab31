"""What can be seen from a place, and what a good human guide would say about it.

Bearings are about gravity, left positive, 0 where the wearer faces; distances are along the floor,
to where the way there meets the thing. All from geometry; the segmentation only says what is hidden.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nav_vlm_node.instruction import Action, Step
from nav_vlm_node.view import Camera, Rig, View, remap, view_map
from nav_vlm_sim.furniture import Item, Vector
from nav_vlm_sim.scene import SHIFTED, Pose, Scene, wall_distance
from nav_vlm_sim.world import NOTHING, Render

# What people ask for. A "door" is any of the four sorts; the other names are their own kind.
TARGETS = (
    "door", "open door", "exit", "toilet", "lift", "stairs", "exit sign",
    "table", "chair", "sofa", "box", "plant", "person",
)  # fmt: skip
# What is only in the shifted family's buildings, behind those that are everywhere.
NEW_TARGETS = ("cash machine", "trolley")
MEMBERS: dict[str, tuple[str, ...]] = {"door": ("door", "open door", "exit", "toilet")}
BEHIND_DOORS = ("exit", "lift", "stairs", "toilet")  # places that may lie beyond an open door
ON_WALLS = ("door", "open door", "exit", "toilet", "lift", "exit sign", "picture")

MIN_PIXELS = 20  # of the model's view: fewer is too small to ask about
MAX_HIDDEN_PIXELS = 3  # up to this many the thing counts as not visible; between the two nobody is asked
SHARE_SHOWN = 0.2  # of its usual silhouette, that must show
FILL = {
    "table": 0.35,
    "chair": 0.45,
    "plant": 0.4,
    "person": 0.5,
    "open door": 0.35,
    "trolley": 0.35,
}  # silhouette / bounding box
TIE = 1.25  # two of a kind at nearly the same distance (ratio) are not asked about: "the door" names neither
APART = math.radians(10)  # two of a kind closer together than this share an answer
READABLE_WIDTH = math.radians(6.0)  # a sign's arrow can be made out from this angular width on
HALF_CORRIDOR = 0.4  # metres: half the width a walking person needs
AHEAD_RANGE = 3.0  # metres, how far "in my way" reaches


@dataclass(frozen=True, slots=True)
class Seen:
    """One thing of the scene. visible: None where it is too small or too hidden to be sure."""

    item: int
    kind: str
    visible: bool | None
    bearing: float
    distance: float
    pixels: int
    arrow: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """A thing that can be asked for. hazards: CAUTION steps, nearest first, on the way there.

    visible: None where nobody could say, or where two of a kind are equally near.
    """

    name: str
    visible: bool | None
    bearing: float = math.nan
    distance: float = math.nan
    hazards: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class Observation:
    """All that is true of one picture. ahead: the first thing in the way straight on, within AHEAD_RANGE.

    ahead_known: False where "in the way" cannot be decided (an open door straight ahead).
    """

    seen: tuple[Seen, ...]
    targets: dict[str, Target]
    ahead: Step | None
    ahead_known: bool


def observe(
    scene: Scene, pose: Pose, camera: Camera, rig: Rig, view: View, render: Render
) -> tuple[Observation, npt.NDArray[np.int16]]:
    """The truth of one render, and the item map [view.height, view.width] seen through the model's view."""
    items = remap(render.item, view_map(camera, rig, view), fill=NOTHING, nearest=True)
    return conclude(scene, pose, tuple(_look(scene, i, pose, view, items) for i in range(len(scene.items)))), items


def conclude(scene: Scene, pose: Pose, seen: tuple[Seen, ...]) -> Observation:
    """What follows from the geometry and from what is in view."""
    names = (*TARGETS, *(NEW_TARGETS if scene.family == SHIFTED else ()))
    targets = {name: _target(scene, name, seen, pose) for name in names}
    return Observation(seen, targets, *_ahead(scene, seen, pose))


def wrap(angle: float) -> float:
    """The angle in (-pi, pi]."""
    return math.pi - (math.pi - angle) % (2 * math.pi)


def in_wearer_frame(points: Vector, pose: Pose) -> Vector:
    """[N, 2] room points as (ahead, left) of the wearer."""
    c, s = math.cos(pose.yaw), math.sin(pose.yaw)
    return (points - (pose.x, pose.y)) @ np.array([[c, -s], [s, c]])


def _look(scene: Scene, index: int, pose: Pose, view: View, items: npt.NDArray[np.int16]) -> Seen:
    item = scene.items[index]
    mask = items == index
    pixels = int(mask.sum())
    anchor = in_wearer_frame(np.array([[item.x, item.y]]), pose)[0]
    bearing, distance = math.atan2(anchor[1], anchor[0]), float(np.hypot(*anchor))
    readable = False
    visible: bool | None = False
    if pixels > MAX_HIDDEN_PIXELS:
        columns = np.flatnonzero(mask.any(0))
        low, high = view.bearings()[columns[-1]], view.bearings()[columns[0]]
        # Half of it may be out of the picture: point to the part that shows.
        bearing = min(max(bearing, float(low)), float(high))
        share = pixels / _silhouette(item, pose, view)
        visible = True if pixels >= MIN_PIXELS and share >= SHARE_SHOWN * FILL.get(item.kind, 0.75) else None
        readable = bool(item.arrow) and high - low >= READABLE_WIDTH and share > 0.5
    if len(item.footprint) and item.kind not in ON_WALLS:
        distance = _reach(in_wearer_frame(item.corners(), pose), bearing, distance)
    return Seen(index, item.kind, visible, bearing, distance, pixels, item.arrow if readable else "")


def _silhouette(item: Item, pose: Pose, view: View) -> float:
    """Pixels of the view that the item's bounding box would cover if nothing hid it."""
    if len(item.footprint):
        plan = item.corners()
    else:
        c, s, w = math.cos(item.yaw), math.sin(item.yaw), item.parts[0].size[1]
        plan = np.array([[item.x - s * w, item.y + c * w], [item.x + s * w, item.y - c * w]])
    local = in_wearer_frame(plan, pose)
    ranges = np.maximum(np.hypot(local[:, 0], local[:, 1]), 0.3)
    mid = math.atan2(*local.mean(0)[::-1])
    spread = np.array([wrap(math.atan2(y, x) - mid) for x, y in local])
    top = np.arctan2(item.height - pose.height, ranges)
    bottom = np.arctan2(item.bottom - pose.height, ranges)
    width = np.ptp(spread) * view.width / view.hfov
    tall = (top.max() - bottom.min()) * view.height / view.vfov
    return float(max(width * tall, 1.0))


def _reach(corners: Vector, bearing: float, fallback: float) -> float:
    """Metres along `bearing` until a convex footprint (wearer's frame) begins; `fallback` where the ray misses."""
    along = math.cos(bearing), math.sin(bearing)
    hits = []
    for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        edge = b - a
        det = edge[0] * along[1] - edge[1] * along[0]
        if abs(det) < 1e-9:
            continue
        t = (edge[0] * a[1] - edge[1] * a[0]) / det
        u = (along[0] * a[1] - along[1] * a[0]) / det
        if 0 <= u <= 1 and t > 0:
            hits.append(float(t))
    return min(hits, default=fallback)


def _enters_strip(corners: Vector, bearing: float) -> float:
    """Metres along `bearing` at which a convex footprint first lies within HALF_CORRIDOR of the line; inf if never."""
    c, s = math.cos(bearing), math.sin(bearing)
    along, aside = corners[:, 0] * c + corners[:, 1] * s, corners[:, 1] * c - corners[:, 0] * s
    t = np.linspace(0, 1, 16)[:, None]
    x = (along * (1 - t) + np.roll(along, -1) * t).ravel()
    y = (aside * (1 - t) + np.roll(aside, -1) * t).ravel()
    inside = x[(np.abs(y) <= HALF_CORRIDOR) & (x > 0.1)]
    return float(inside.min()) if len(inside) else math.inf


def _hazards(
    scene: Scene, seen: Iterable[Seen], pose: Pose, bearing: float, until: float, leave_out: int = -1
) -> tuple[Step, ...]:
    """CAUTION steps for what stands within the corridor along `bearing`, up to `until` metres, nearest first."""
    found = []
    for s in seen:
        item = scene.items[s.item]
        if s.item == leave_out or s.pixels < MIN_PIXELS or (s.kind in ON_WALLS and not len(item.leaf)):
            continue
        standing = in_wearer_frame(item.leaf_corners() if len(item.leaf) else item.corners(), pose)
        distance = _enters_strip(standing, bearing)
        if distance < until - 0.25:
            name = "wall" if s.kind == "column" else s.kind
            # An open door's own bearing is its opening's; what stands in the way is the leaf.
            where = math.atan2(*standing.mean(axis=0)[::-1]) if len(item.leaf) else s.bearing
            found.append(Step(Action.CAUTION, where, distance, name))
    return tuple(sorted(found, key=lambda step: step.distance))


def _target(scene: Scene, name: str, seen: tuple[Seen, ...], pose: Pose) -> Target:
    candidates = [s for s in seen if s.kind in MEMBERS.get(name, (name,))]
    shown = sorted((s for s in candidates if s.visible), key=lambda s: s.distance)
    unsure = [s for s in candidates if s.visible is None]
    if not shown:
        return Target(name, None if unsure else False)
    nearest = shown[0]
    rivals = [*unsure, *(s for s in shown[1:] if abs(wrap(s.bearing - nearest.bearing)) > APART)]
    if any(s.distance < TIE * nearest.distance for s in rivals):
        return Target(name, None, nearest.bearing, nearest.distance)
    hazards = _hazards(scene, seen, pose, nearest.bearing, nearest.distance, nearest.item)
    return Target(name, True, nearest.bearing, nearest.distance, hazards)


def _ahead(scene: Scene, seen: tuple[Seen, ...], pose: Pose) -> tuple[Step | None, bool]:
    wall = wall_distance(scene, pose.x, pose.y, pose.yaw)
    floor = _hazards(scene, seen, pose, 0.0, AHEAD_RANGE + 0.25)
    first = floor[0].distance if floor else math.inf
    if min(first, wall) > AHEAD_RANGE:
        return None, min(first, wall) > AHEAD_RANGE + 0.3
    if first < wall:
        return floor[0], True
    for s in seen:  # what hangs there has a better name than "wall"
        item = scene.items[s.item]
        if s.kind in ("door", "exit", "toilet", "lift", "open door"):
            local = in_wearer_frame(item.corners(), pose)
            if math.isfinite(_reach(local, 0.0, math.inf)):
                return Step(Action.CAUTION, 0.0, wall, s.kind), s.kind != "open door" and bool(s.visible)
    return Step(Action.CAUTION, 0.0, wall, "wall"), wall < AHEAD_RANGE - 0.2


# ---- what to say -------------------------------------------------------------------------------


def _way_to(target: Target, name: str) -> tuple[Step, ...]:
    return (
        *target.hazards[:1],
        Step(Action.TURN, target.bearing),
        Step(Action.MOVE, 0.0, target.distance, name),
    )


def guide_steps(observation: Observation, name: str) -> tuple[Step, ...]:
    """A good guide's answer to "How do I get to the `name`?". A name that is no target is not known.

    Visible: hazards, turn, move. Not visible: the way to what gives evidence of it (an exit sign, an
    open door), else look around. Never a direction that nothing in view supports.
    """
    target = observation.targets.get(name)
    if target is None:
        return (Step(Action.UNKNOWN),)
    if target.visible:
        return _way_to(target, name)
    missing = Step(Action.NOT_VISIBLE, landmark=name)
    sign = observation.targets["exit sign"]
    if name == "exit" and sign.visible:
        hazards, *motion = _split(_way_to(sign, "exit sign"))
        return (*hazards, missing, *motion[0], *_pointing(observation))
    beyond = observation.targets["open door"]
    if name in BEHIND_DOORS and beyond.visible:
        hazards, *motion = _split(_way_to(beyond, "open door"))
        return (*hazards, missing, *motion[0])
    return (missing, Step(Action.SCAN))


def decided(observation: Observation, name: str) -> bool:
    """Whether a question about `name` has one right answer in this picture."""
    target = observation.targets.get(name)
    if target is None:
        return True
    evidence = []
    if name == "exit" and not target.visible:
        evidence.append(observation.targets["exit sign"].visible)
        if not observation.targets["exit sign"].visible:
            evidence.append(observation.targets["open door"].visible)
    elif name in BEHIND_DOORS and not target.visible:
        evidence.append(observation.targets["open door"].visible)
    return target.visible is not None and None not in evidence


def _split(steps: tuple[Step, ...]) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
    hazards = tuple(s for s in steps if s.action is Action.CAUTION)
    return hazards, tuple(s for s in steps if s.action is not Action.CAUTION)


POINTS_TO = {"left": math.pi / 2, "right": -math.pi / 2, "ahead": 0.0}


def _pointing(observation: Observation) -> tuple[Step, ...]:
    signs = [s for s in observation.seen if s.kind == "exit sign" and s.visible and s.arrow]
    return (Step(Action.SIGN, POINTS_TO[signs[0].arrow], landmark="exit sign"),) if signs else ()


def ahead_steps(observation: Observation) -> tuple[Step, ...]:
    """The answer to "Is anything in my way?"."""
    return (observation.ahead,) if observation.ahead else (Step(Action.NO_HAZARD, distance=AHEAD_RANGE),)


def locate_steps(observation: Observation, name: str) -> tuple[Step, ...]:
    """The plain description of where `name` is, without guidance."""
    target = observation.targets.get(name)
    if target is None:
        return (Step(Action.UNKNOWN),)
    if not target.visible:
        return (Step(Action.NOT_VISIBLE, landmark=name),)
    return (Step(Action.LOCATE, target.bearing, target.distance, name),)


def describe_steps(observation: Observation, most: int = 4) -> tuple[Step, ...]:
    """The nearest things in view, nearest first; "door" gives way to the sort of door it is."""
    named = [
        t for name, t in observation.targets.items() if t.visible and (name != "door" or _plain_door(observation, t))
    ]
    named.sort(key=lambda t: t.distance)
    return tuple(Step(Action.LOCATE, t.bearing, t.distance, t.name) for t in named[:most])


def _plain_door(observation: Observation, target: Target) -> bool:
    return any(
        s.kind == "door" and s.distance == target.distance and s.bearing == target.bearing for s in observation.seen
    )
