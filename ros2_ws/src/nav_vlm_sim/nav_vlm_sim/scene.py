"""Indoor scenes by seed: a room, what stands in it, its light, and places to look from.

The room's frame: origin on the floor in the middle, x and y along the walls, z up, metres.
Everything here is plain numbers; `world.py` draws it and `truth.py` says what can be seen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from nav_vlm_node.view import Camera, Rig
from nav_vlm_sim import furniture
from nav_vlm_sim.furniture import Item, Part, Rng, Vector

# Half sizes are drawn from these ranges: width, length, height [m]; `floor` and `wall` say how many things.
ROOMS: dict[str, dict[str, tuple[float, float]]] = {
    "room": {"width": (3.5, 7.0), "length": (4.0, 8.0), "height": (2.5, 3.2), "floor": (3, 7), "wall": (2, 5)},
    "corridor": {"width": (1.9, 3.0), "length": (7.0, 13.0), "height": (2.4, 3.0), "floor": (1, 4), "wall": (3, 7)},
    "hall": {"width": (7.0, 10.0), "length": (7.0, 11.0), "height": (2.8, 3.6), "floor": (5, 10), "wall": (4, 8)},
    "lounge": {"width": (4.5, 6.5), "length": (5.5, 8.5), "height": (2.6, 3.4), "floor": (4, 8), "wall": (3, 6)},
}
HELD_OUT_ROOM = "lounge"  # never in the training split; it has columns, which the others lack
ROOM_SHARE = {"room": 0.5, "corridor": 0.27, "hall": 0.23}

WALL_WEIGHTS = {
    "door": 1.6, "open door": 1.2, "exit": 1.0, "toilet": 1.0,
    "lift": 1.2, "stairs": 1.3, "exit sign": 1.4, "picture": 0.8,
}  # fmt: skip
FLOOR_WEIGHTS = {"table": 1.0, "chair": 1.2, "sofa": 0.9, "box": 1.0, "plant": 1.0, "person": 1.1}
MOST = {"door": 2, "open door": 2, "chair": 2, "box": 2, "person": 2, "picture": 3}  # others: one of a kind

# A family of scenes that is another building: surfaces, light, camera and two landmarks that nobody has seen before.
# What the others draw for each is given beside it.
SHIFTED = "shifted"
SHIFTED_HFOV = (50.0, 58.0)  # degrees; 60 to 110
SHIFTED_HEIGHT = (0.85, 1.0)  # metres, at the belt; 1.15 to 1.75
SHIFTED_AMBIENT, SHIFTED_HEADLIGHT = (0.14, 0.24), (0.02, 0.08)  # dim; 0.25 to 0.6, 0.1 to 0.6
SHIFTED_TINT = (0.72, 0.95, 1.15)  # of the lamps: cold; near white
SHIFTED_WALL_WEIGHTS = {"cash machine": 2.2}
SHIFTED_FLOOR_WEIGHTS = {"trolley": 2.2}

WALKING = (0.8, 1.5)  # m/s, of other people
STEP_TIME = 1 / 3  # seconds between two pictures of a walk

VIEWER_RADIUS = 0.45  # metres kept free around where somebody stands


@dataclass(frozen=True, slots=True)
class Light:
    """position [m], direction, diffuse RGB 0..1."""

    position: tuple[float, float, float]
    direction: tuple[float, float, float]
    diffuse: tuple[float, float, float]
    exponent: float


@dataclass(frozen=True, kw_only=True)
class Pose:
    """Where the wearer stands and how the camera really sits at that moment; radians, metres.

    yaw: the way the wearer faces, counterclockwise from x. pitch: positive looks down. roll: positive
    tips the camera's top to the right. The rig's own pitch may differ: people sway.
    """

    x: float
    y: float
    height: float
    yaw: float
    pitch: float
    roll: float


@dataclass(slots=True)
class Scene:
    """One room. half: half width and half length [m]. ambient: 0..1, light from everywhere.

    speeds: item -> m/s, of the people who walk, the way they face; () where nobody does. segments: [N, 4] walls
    from x, y to x, y on the floor, for what is no single room (half and height are then those of the whole); else None.
    """

    seed: int
    room: str
    family: str
    half: tuple[float, float]
    height: float
    shell: list[Part]
    items: list[Item]
    lights: list[Light] = field(default_factory=list)
    ambient: float = 0.3
    headlight: float = 0.3
    speeds: dict[int, float] = field(default_factory=dict)
    segments: Vector | None = None

    def before(self, seconds: float) -> Scene:
        """The scene as it was so long ago: who walks was further back."""
        items = list(self.items)
        for index, speed in self.speeds.items():
            item, back = items[index], speed * seconds
            items[index] = replace(item, x=item.x - back * math.cos(item.yaw), y=item.y - back * math.sin(item.yaw))
        return replace(self, items=items)


@dataclass(slots=True)
class Wall:
    """A wall's inward normal (yaw), its distance from the middle, and the spans already taken."""

    yaw: float
    distance: float
    half: float
    taken: list[tuple[float, float]] = field(default_factory=list)

    def point(self, u: float) -> tuple[float, float]:
        """Room position of the point `u` metres along the wall (towards the item frame's y)."""
        c, s = math.cos(self.yaw), math.sin(self.yaw)
        return -c * self.distance - s * u, -s * self.distance + c * u


def sample_scene(seed: int, *, room: str | None = None, family: str = "train", walking: bool = False) -> Scene:
    """The scene of this seed. room: one of ROOMS, else drawn by ROOM_SHARE (never the held-out one).

    walking: some more people are there, and people walk.
    """
    rng = np.random.default_rng([seed, 101])
    kind = room or str(rng.choice(list(ROOM_SHARE), p=list(ROOM_SHARE.values())))
    spec = ROOMS[kind]
    half = (rng.uniform(*spec["width"]) / 2, rng.uniform(*spec["length"]) / 2)
    height = rng.uniform(*spec["height"])
    walls = four_walls(half)
    items: list[Item] = []
    wall_rgb = furniture.colour(rng, (0.5, 1), (0, 0.35))
    shifted = family == SHIFTED
    _hang(rng, spec, walls, items, height, wall_rgb, WALL_WEIGHTS | (SHIFTED_WALL_WEIGHTS if shifted else {}))
    if kind == HELD_OUT_ROOM:
        _stand_columns(rng, half, height, items, wall_rgb)
    _furnish(rng, spec, half, items, FLOOR_WEIGHTS | (SHIFTED_FLOOR_WEIGHTS if shifted else {}))
    if walking:
        for _ in range(int(rng.integers(2, 5))):
            _place(rng, half, items, furniture.person(rng))
    scene = Scene(seed, kind, family, half, height, shell(rng, half, height, walls, items, wall_rgb), items)
    scene.lights, scene.ambient, scene.headlight = light(rng, half, height, family)
    if walking:
        _set_out(rng, scene)
    return scene


def four_walls(half: tuple[float, float]) -> list[Wall]:
    """Of a room about the origin: west, east, south, north."""
    return [
        Wall(0.0, half[0], half[1]),
        Wall(math.pi, half[0], half[1]),
        Wall(math.pi / 2, half[1], half[0]),
        Wall(-math.pi / 2, half[1], half[0]),
    ]


def _counts(rng: Rng, weights: dict[str, float], n: int) -> list[str]:
    """n kinds drawn by weight, none more often than MOST allows."""
    left, chosen = dict(weights), []
    for _ in range(n):
        if not left:
            break
        names = list(left)
        p = np.array([left[k] for k in names])
        kind = str(rng.choice(names, p=p / p.sum()))
        chosen.append(kind)
        if chosen.count(kind) >= MOST.get(kind, 1):
            del left[kind]
        else:
            left[kind] *= 0.4
    return chosen


def _make_on_wall(rng: Rng, kind: str) -> Item:
    if kind in ("door", "exit", "toilet"):
        return furniture.door(rng, kind)
    if kind == "exit sign":
        return furniture.exit_sign(rng, str(rng.choice(["left", "right", "ahead"], p=[0.4, 0.4, 0.2])))
    return {
        "open door": furniture.open_door,
        "lift": furniture.lift,
        "stairs": furniture.stairs,
        "picture": furniture.picture,
        "cash machine": furniture.cash_machine,
    }[kind](rng)


def _hang(
    rng: Rng,
    spec: dict[str, tuple[float, float]],
    walls: list[Wall],
    items: list[Item],
    height: float,
    wall_rgb: Vector,
    weights: dict[str, float],
) -> None:
    low, high = spec["wall"]
    for kind in _counts(rng, weights, int(rng.integers(int(low), int(high) + 1))):
        item = _make_on_wall(rng, kind)
        if item.height > height - 0.03:
            continue
        width = max(
            float(np.abs(item.footprint[:, 1]).max(initial=0.0)),
            max(abs(p.position[1]) + p.size[1] for p in item.parts if p.position[0] > -0.2),
        )
        depth = float(-item.footprint[:, 0].min(initial=0.0)) if kind == "stairs" else 0.0
        for _ in range(12):
            wall = walls[rng.integers(4)]
            if wall.half < width + 0.15 or (depth and wall.distance * 2 < depth + 2.0):
                continue
            u = rng.uniform(-wall.half + width + 0.1, wall.half - width - 0.1)
            gap = width + 0.15
            if any(abs(u - v) < gap + w for v, w in wall.taken):
                continue
            x, y = wall.point(u)
            item.yaw = wall.yaw
            item.x, item.y = x + math.cos(wall.yaw) * depth, y + math.sin(wall.yaw) * depth
            if depth and any(_near(item, other, 0.5) for other in items):
                continue
            wall.taken.append((u, width))
            items.append(item)
            break


def _near(item: Item, other: Item, margin: float) -> bool:
    """Whether two footprints' bounding circles come closer than `margin`."""
    if not len(item.footprint) or not len(other.footprint):
        return False
    a, b = item.corners(), other.corners()
    reach = np.linalg.norm(a - a.mean(0), axis=1).max() + np.linalg.norm(b - b.mean(0), axis=1).max()
    return bool(np.linalg.norm(a.mean(0) - b.mean(0)) < reach + margin)


def _stand_columns(rng: Rng, half: tuple[float, float], height: float, items: list[Item], rgb: Vector) -> None:
    for _ in range(int(rng.integers(1, 3))):
        r = rng.uniform(0.15, 0.25)
        part = Part("box", (0, 0, height / 2), (r, r, height / 2), rgb * rng.uniform(0.7, 1.0))
        item = Item("column", [part], furniture.rectangle(r, r), height)
        _place(rng, half, items, item, 0.9)


def _place(rng: Rng, half: tuple[float, float], items: list[Item], item: Item, margin: float = 0.15) -> None:
    """Puts the item where it touches nothing, and adds it; leaves it out where there is no room."""
    radius = float(np.linalg.norm(item.footprint, axis=1).max())
    anchors = [i for i in items if i.kind not in furniture.ON_FLOOR]
    for _ in range(14):
        if anchors and rng.random() < 0.3:  # on somebody's way, as things are
            target = anchors[rng.integers(len(anchors))]
            f = rng.uniform(0.3, 0.9)
            x, y = f * target.x + rng.normal(0, 0.5), f * target.y + rng.normal(0, 0.5)
        else:
            x, y = rng.uniform(-half[0], half[0]), rng.uniform(-half[1], half[1])
        if abs(x) > half[0] - radius - 0.05 or abs(y) > half[1] - radius - 0.05:
            continue
        item.x, item.y, item.yaw = x, y, rng.uniform(-math.pi, math.pi)
        if not any(_near(item, other, margin) for other in items):
            items.append(item)
            return


def _furnish(
    rng: Rng,
    spec: dict[str, tuple[float, float]],
    half: tuple[float, float],
    items: list[Item],
    weights: dict[str, float],
) -> None:
    low, high = spec["floor"]
    for kind in _counts(rng, weights, int(rng.integers(int(low), int(high) + 1))):
        _place(rng, half, items, furniture.ON_FLOOR[kind](rng))


def _set_out(rng: Rng, scene: Scene) -> None:
    """People walk, each a way on which nothing stood within the last second; who has none stands still."""
    for index, item in enumerate(scene.items):
        if item.kind != "person":
            continue
        speed = rng.uniform(*WALKING)
        others = [other.corners() for k, other in enumerate(scene.items) if k != index and len(other.footprint)]
        for yaw in rng.uniform(-math.pi, math.pi, 8):
            way = [(item.x - t * speed * math.cos(yaw), item.y - t * speed * math.sin(yaw)) for t in (0.25, 0.5, 0.75)]
            if all(_is_free(scene, others, x, y) for x, y in way):
                item.yaw, scene.speeds[index] = float(yaw), float(speed)
                break


def _is_free(scene: Scene, others: list[Vector], x: float, y: float) -> bool:
    """Whether somebody could stand there."""
    inside = abs(x) < scene.half[0] - 0.3 and abs(y) < scene.half[1] - 0.3
    return inside and not any(_inside(corners, x, y, 0.3) for corners in others)


def shell(
    rng: Rng, half: tuple[float, float], height: float, walls: list[Wall], items: Sequence[Item], wall_rgb: Vector
) -> list[Part]:
    """Floor, ceiling and walls in the room's frame; walls leave out the openings of the open doors among `items`."""
    floor, ceiling = furniture.colour(rng, (0.25, 0.9), (0, 0.5)), furniture.colour(rng, (0.7, 1), (0, 0.12))
    parts = [
        Part("box", (0, 0, -0.05), (*half, 0.05), floor, furniture.material(rng, "flat", 0.8)),
        Part("box", (0, 0, height + 0.05), (*half, 0.05), ceiling, furniture.material(rng, "flat", 0.4)),
    ]
    pattern, skirting = furniture.material(rng, "flat", 0.6), furniture.colour(rng) if rng.random() < 0.5 else None
    for wall in walls:
        rgb = wall_rgb if rng.random() < 0.75 else furniture.colour(rng, (0.5, 1), (0, 0.4))
        c, s = math.cos(wall.yaw), math.sin(wall.yaw)
        openings = []
        for item in items:
            if item.kind == "open door" and item.yaw == wall.yaw:
                u = -s * item.x + c * item.y
                openings.append((u, item.footprint[:, 1].max() - 0.1, item.height - 0.1))
        edges = [-wall.half]
        for u, width, top in sorted(openings):
            edges += [u - width, u + width]
            x, y = wall.point(u)
            lintel = (height - top) / 2
            middle = (x - c * 0.05, y - s * 0.05, top + lintel)
            parts.append(Part("box", middle, (0.05, width, lintel), rgb, pattern, wall.yaw))
        edges.append(wall.half)
        for a, b in zip(edges[::2], edges[1::2], strict=True):
            x, y = wall.point((a + b) / 2)
            middle, size = (x - c * 0.05, y - s * 0.05, height / 2), (0.05, (b - a) / 2, height / 2)
            parts.append(Part("box", middle, size, rgb, pattern, wall.yaw))
            if skirting is not None:
                middle, size = (x + c * 0.005, y + s * 0.005, 0.05), (0.008, (b - a) / 2, 0.05)
                parts.append(Part("box", middle, size, skirting, "", wall.yaw))
    return parts


def light(rng: Rng, half: tuple[float, float], height: float, family: str) -> tuple[list[Light], float, float]:
    """Two lamps of a room about the origin, and the light from everywhere and from the camera."""
    half_x, half_y = half
    lights = []
    held_out, shifted = family == "heldout", family == SHIFTED
    for _ in range(2):
        # The held-out family is lit from the side by warm, dim lamps; the others from near the ceiling.
        z = height - 0.15 if not held_out else rng.uniform(1.2, 2.0)
        tint = 1 + rng.normal(0, 0.08, 3) if not held_out else np.array([1.15, 0.95, 0.7]) * rng.uniform(0.8, 1.1)
        tint = np.array(SHIFTED_TINT) * rng.uniform(0.8, 1.1) if shifted else tint
        lights.append(
            Light(
                (rng.uniform(-half_x, half_x), rng.uniform(-half_y, half_y), z),
                (rng.normal(0, 0.3), rng.normal(0, 0.3), -1.0),
                tuple((rng.uniform(0.1, 0.7) * tint).clip(0, 1)),
                rng.uniform(0, 4),
            )
        )
    ambient = rng.uniform(*(SHIFTED_AMBIENT if shifted else (0.25, 0.6)))
    return lights, ambient, rng.uniform(*(SHIFTED_HEADLIGHT if shifted else (0.1, 0.6)))


def sample_viewpoint(scene: Scene, index: int) -> tuple[Pose, Camera, Rig]:
    """The `index`-th place to look from in this scene, with the camera worn there.

    Of some candidate places the one with the most, and the rarest, things in front is taken mostly:
    an empty wall teaches little.
    """
    rng = np.random.default_rng([scene.seed, 202, index])
    shifted = scene.family == SHIFTED
    hfov = math.radians(rng.uniform(*(SHIFTED_HFOV if shifted else (60, 110))))
    aspect = 3 / 4 if rng.random() < 0.6 else 9 / 16
    focal = rng.uniform(95, 140)
    width = 2 * round(math.tan(hfov / 2) * focal)
    camera = Camera.from_fov(width, 2 * round(width * aspect / 2), hfov)
    chest = rng.random() < 0.5
    height = rng.uniform(*(SHIFTED_HEIGHT if shifted else (1.15, 1.45) if chest else (1.5, 1.75)))
    rig = Rig(camera_pitch=math.radians(rng.uniform(0, 20)), camera_height=height)
    corners = [i.corners() for i in scene.items if len(i.footprint)]
    best, best_score = (0.0, 0.0, 0.0), -1.0
    for _ in range(40):
        x, y = (rng.uniform(-h + 0.4, h - 0.4) for h in scene.half)
        if any(_inside(c, x, y, VIEWER_RADIUS) for c in corners):
            continue
        yaw = rng.uniform(-math.pi, math.pi)
        score = _interest(scene, x, y, yaw, hfov / 2) + rng.uniform(0, 0.8) + min(wall_distance(scene, x, y, yaw), 2.0)
        if score > best_score:
            best, best_score = (x, y, yaw), score
        if best_score > 5.5 or rng.random() < 0.05:
            break
    pose = Pose(
        x=best[0],
        y=best[1],
        height=height + rng.normal(0, 0.02),
        yaw=best[2],
        pitch=rig.camera_pitch + math.radians(rng.normal(0, 2.0)),
        roll=math.radians(rng.normal(0, 1.5)),
    )
    return pose, camera, rig


def earlier_viewpoint(scene: Scene, pose: Pose, index: int, seconds: float) -> Pose:
    """Where the wearer was and how the camera sat so long before `pose`, the index-th place: on the way to it.

    People walk up to 1.2 m/s, sway by two degrees and turn by no more than ten a second; who would have come out of a
    wall or a piece of furniture stood still. `seconds` is a multiple of STEP_TIME.
    """
    rng = np.random.default_rng([scene.seed, 505, index])
    speed, turning = rng.uniform(0.4, 1.2), math.radians(rng.normal(0, 4))
    sway = [rng.normal(0, math.radians(2.0), 2) for _ in range(round(seconds / STEP_TIME))][-1]
    x, y = (pose.x - speed * seconds * math.cos(pose.yaw), pose.y - speed * seconds * math.sin(pose.yaw))
    corners = [item.corners() for item in scene.items if len(item.footprint)]
    if not _is_free(scene, corners, x, y):
        x, y = pose.x, pose.y
    return replace(
        pose, x=x, y=y, yaw=pose.yaw - turning * seconds, pitch=pose.pitch + sway[0], roll=pose.roll + sway[1]
    )


# How much a thing in view is worth when a place to look from is chosen; others: 1.
RARITY = {
    "picture": 0.0, "column": 0.0, "chair": 0.8, "box": 0.8, "door": 0.8,
    "stairs": 1.5, "lift": 1.4, "exit": 1.3, "exit sign": 1.3, "cash machine": 1.4, "trolley": 1.2,
}  # fmt: skip


def _interest(scene: Scene, x: float, y: float, yaw: float, half_fov: float) -> float:
    """How much there is to see, by rarity, within 8 m."""
    score = 0.0
    for item in scene.items:
        dx, dy = item.x - x, item.y - y
        distance = math.hypot(dx, dy)
        off = abs((math.atan2(dy, dx) - yaw + math.pi) % (2 * math.pi) - math.pi)
        if 0.9 < distance < 8 and off < half_fov * 0.9:
            score += RARITY.get(item.kind, 1.0) * (1.0 if distance < 5 else 0.6)
    return score


def wall_distance(scene: Scene, x: float, y: float, bearing: float) -> float:
    """Metres from (x, y) to the nearest wall along `bearing` (room frame, radians); inf where there is none."""
    if scene.segments is not None:
        return _ray(scene.segments, x, y, bearing)
    reach = []
    for position, half, along in ((x, scene.half[0], math.cos(bearing)), (y, scene.half[1], math.sin(bearing))):
        if abs(along) > 1e-9:
            reach.append((math.copysign(half, along) - position) / along)
    return min(reach)


def _ray(segments: Vector, x: float, y: float, bearing: float) -> float:
    start, edge = segments[:, :2] - (x, y), segments[:, 2:] - segments[:, :2]
    along = np.array([math.cos(bearing), math.sin(bearing)])
    det = edge[:, 0] * along[1] - edge[:, 1] * along[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        t = (edge[:, 0] * start[:, 1] - edge[:, 1] * start[:, 0]) / det
        u = (along[0] * start[:, 1] - along[1] * start[:, 0]) / det
    hit = (np.abs(det) > 1e-9) & (u >= -1e-9) & (u <= 1 + 1e-9) & (t > 0)
    return float(t[hit].min(initial=math.inf))


def _inside(corners: Vector, x: float, y: float, margin: float) -> bool:
    """Whether (x, y) is within `margin` of a convex footprint (bounding circle of each edge's side)."""
    edges = np.roll(corners, -1, axis=0) - corners
    normals = np.stack([edges[:, 1], -edges[:, 0]], 1) / np.maximum(np.linalg.norm(edges, axis=1, keepdims=True), 1e-9)
    return bool(((np.array([x, y]) - corners) * normals).sum(1).max() < margin)
