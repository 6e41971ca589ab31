"""What stands in a room: each thing is a list of simple solids in its own frame.

An item's frame is x ahead (out of the wall, or the way a chair faces), y left, z up, with its
origin on the floor below its anchor, the point to which directions are given. Sizes are metres;
a box's size is its half extents, as in MuJoCo.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import numpy.typing as npt

Rng = np.random.Generator
Vector = npt.NDArray[np.float64]

WIDE_OPEN = 1.4  # radians: the least that the leaf of a door between two rooms is open


@dataclass(frozen=True, slots=True)
class Part:
    """One solid. material: "" (plain), "flat:N", "cube:N", "metal", "glow", or a sign's name."""

    shape: str
    position: tuple[float, float, float]
    size: tuple[float, float, float]
    rgb: Vector
    material: str = ""
    yaw: float = 0.0  # radians about z, in the item's frame


@dataclass(slots=True)
class Item:
    """A thing with a place in the room: position x, y [m] and yaw [rad] of its frame.

    footprint: [N, 2] corners on the floor in the item's frame, empty for what hangs on a wall.
    height: metres, top of the item. arrow: where a sign points ("left", "right", "ahead", "").
    leaf: [N, 2] corners of a door leaf that stands in the room, in the item's frame; else empty.
    """

    kind: str
    parts: list[Part]
    footprint: Vector
    height: float
    arrow: str = ""
    x: float = 0.0
    y: float = 0.0
    yaw: float = 0.0
    bottom: float = 0.0
    leaf: Vector = field(default_factory=lambda: np.zeros((0, 2)))

    def corners(self) -> Vector:
        """[N, 2] footprint corners in the room's frame."""
        return self._in_room(self.footprint)

    def leaf_corners(self) -> Vector:
        """[N, 2] corners of the open leaf in the room's frame."""
        return self._in_room(self.leaf)

    def _in_room(self, points: Vector) -> Vector:
        return points @ _turned(self.yaw) + (self.x, self.y)


def _turned(yaw: float) -> Vector:
    """[2, 2] that turns row vectors by `yaw`."""
    c, s = np.cos(yaw), np.sin(yaw)
    return np.array([[c, s], [-s, c]])


def rectangle(half_x: float, half_y: float, offset_x: float = 0.0) -> Vector:
    """[4, 2] corners of a rectangle about (offset_x, 0)."""
    return np.array([[-half_x, -half_y], [half_x, -half_y], [half_x, half_y], [-half_x, half_y]]) + (offset_x, 0)


def colour(rng: Rng, value: tuple[float, float] = (0.2, 0.95), saturation: tuple[float, float] = (0.0, 0.8)) -> Vector:
    """[3] a random RGB in 0..1 with value and saturation in the given ranges."""
    hsv = np.array([[[rng.uniform(0, 180), 255 * rng.uniform(*saturation), 255 * rng.uniform(*value)]]], np.uint8)
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0, 0] / 255.0)


def wood(rng: Rng) -> Vector:
    """[3] a brownish RGB."""
    return np.clip(np.array([0.55, 0.36, 0.2]) * rng.uniform(0.5, 1.5) + rng.normal(0, 0.05, 3), 0, 1)


def material(rng: Rng, sort: str, chance: float = 0.6) -> str:
    """A surface pattern's name, or "" for a plain surface. sort: "flat" or "cube"."""
    return f"{sort}:{rng.integers(10)}" if rng.random() < chance else ""


def _frame(rng: Rng, half: float, height: float) -> list[Part]:
    rgb, t = colour(rng, (0.2, 1), (0, 0.4)), 0.05
    return [
        Part("box", (0.02, -half - 0.04, height / 2), (0.06, 0.04, height / 2), rgb),
        Part("box", (0.02, half + 0.04, height / 2), (0.06, 0.04, height / 2), rgb),
        Part("box", (0.02, 0, height + t), (0.06, half + 0.08, t), rgb),
    ]


def _leaf_colour(rng: Rng) -> Vector:
    return wood(rng) if rng.random() < 0.5 else colour(rng, (0.15, 0.95), (0.1, 0.85))


def door(rng: Rng, kind: str = "door") -> Item:
    """A closed door; "exit" has a lit sign above it, "toilet" a sign on it and beside it."""
    half, height = rng.uniform(0.4, 0.6), rng.uniform(1.95, 2.2)
    rgb = _leaf_colour(rng)
    side = rng.choice([-1, 1])
    parts = [Part("box", (0.02, 0, height / 2), (0.03, half, height / 2), rgb, material(rng, "flat", 0.4))]
    parts += _frame(rng, half, height)
    handle = colour(rng, (0.6, 1), (0, 0.3))
    parts.append(Part("box", (0.09, side * (half - 0.1), 1.02), (0.02, 0.06, 0.015), handle, "metal"))
    if rng.random() < 0.3:
        pane = colour(rng, (0.5, 1), (0, 0.3))
        parts.append(Part("box", (0.035, 0, height * 0.72), (0.025, half * 0.5, height * 0.15), pane, "metal"))
    white = np.ones(3)
    if kind == "exit":
        parts.append(Part("box", (0.05, 0, height + 0.29), (0.03, 0.36, 0.15), white, "exit_"))
    if kind == "toilet":
        size = rng.uniform(0.13, 0.18)
        parts.append(Part("box", (0.055, 0, 1.55), (0.006, size, size), white, "toilet"))
        parts.append(Part("box", (0.03, -side * (half + 0.35), 1.6), (0.012, 0.17, 0.17), white, "toilet"))
    width = half + (0.55 if kind == "toilet" else 0.1)
    return Item(kind, parts, rectangle(0.08, width), height + (0.45 if kind == "exit" else 0.1))


def open_door(rng: Rng, *, sill: float = 0.0) -> Item:
    """An opening with its leaf swung into the room, and a stub of what lies behind it; or, where there is another room
    behind, a sill of so many metres through the wall.
    """
    half, height, depth = rng.uniform(0.42, 0.6), rng.uniform(1.95, 2.2), rng.uniform(1.2, 2.5)
    leaf = _leaf_colour(rng)
    beyond = colour(rng, (0.2, 0.95), (0, 0.4))
    side, angle = rng.choice([-1, 1]), rng.uniform(1.0, 1.75)
    if sill:  # people walk through this one
        angle = max(angle, WIDE_OPEN)
    x, y = half * np.sin(angle), side * (half - half * np.cos(angle))  # the leaf's middle
    up, outer = height / 2, half + 0.3
    inner = depth / 2 - 0.02  # what lies behind ends within the wall: in its face, the two would be drawn in turns
    parts = [
        *_frame(rng, half, height),
        Part("box", (x + 0.05, y, up), (0.02, half, up), leaf, material(rng, "flat", 0.4), -side * angle),
        Part("box", (-depth, 0, up), (0.02, outer, up), beyond, material(rng, "flat", 0.4)),
        Part("box", (-depth / 2 - 0.02, outer, up), (inner, 0.02, up), beyond * 0.85),
        Part("box", (-depth / 2 - 0.02, -outer, up), (inner, 0.02, up), beyond * 0.9),
    ]
    floor = colour(rng, (0.2, 0.8), (0, 0.4))
    stub = [
        Part("box", (-depth / 2, 0, -0.02), (depth / 2, outer, 0.02), floor, material(rng, "flat", 0.5)),
        Part("box", (-depth / 2 - 0.02, 0, height + 0.02), (inner, outer, 0.02), beyond),
    ]
    if sill:
        behind = [replace(part, position=(-sill - 0.02, *part.position[1:])) for part in parts[:3]]
        parts = [*parts[:4], Part("box", (-sill / 2, 0, -0.05), (sill / 2, half + 0.05, 0.05), floor), *behind]
    else:
        parts += stub
    standing = rectangle(0.02, half) @ _turned(-side * angle) + (x + 0.05, y)
    return Item("open door", parts, rectangle(0.08, half + 0.1), height + 0.1, leaf=standing)


def lift(rng: Rng) -> Item:
    """Metal double doors in a frame, with a lit display above."""
    half, height = rng.uniform(0.5, 0.8), rng.uniform(2.0, 2.25)
    rgb = np.clip(np.array([0.62, 0.63, 0.66]) * rng.uniform(0.6, 1.35) + rng.normal(0, 0.02, 3), 0, 1)
    edge = rgb * rng.uniform(0.5, 1.1)
    parts = [
        Part("box", (0.005, 0, height / 2), (0.01, half + 0.02, height / 2), np.full(3, 0.05)),
        Part("box", (0.03, -half - 0.07, height / 2), (0.06, 0.07, height / 2), edge, "metal"),
        Part("box", (0.03, half + 0.07, height / 2), (0.06, 0.07, height / 2), edge, "metal"),
        Part("box", (0.03, 0, height + 0.09), (0.06, half + 0.14, 0.09), edge, "metal"),
        Part("box", (0.095, 0, height + 0.09), (0.01, 0.12, 0.05), colour(rng, (0.8, 1), (0.5, 1)), "glow"),
        Part("box", (0.03, half + 0.3, 1.15), (0.02, 0.06, 0.12), colour(rng, (0.5, 1), (0, 0.2)), "metal"),
        Part("box", (0.055, half + 0.3, 1.15), (0.01, 0.03, 0.03), colour(rng, (0.8, 1), (0.5, 1)), "glow"),
    ]
    parts += [
        Part("box", (0.015, s * (half / 2 + 0.008), height / 2), (0.02, half / 2, height / 2), rgb, "metal")
        for s in (-1, 1)
    ]
    return Item("lift", parts, rectangle(0.1, half + 0.14), height + 0.18)


def stairs(rng: Rng) -> Item:
    """A flight that rises towards the wall behind it; the anchor is the middle of its foot."""
    half, tread, rise = rng.uniform(0.55, 0.9), rng.uniform(0.24, 0.3), rng.uniform(0.14, 0.19)
    count = int(rng.integers(5, 10))
    length = tread * count
    rgb, pattern, nosing = colour(rng, (0.3, 0.9), (0, 0.5)), material(rng, "flat", 0.5), rng.random() < 0.6
    other = rgb * rng.uniform(0.5, 1.2) if nosing else rgb
    parts = []
    for k in range(count):
        top, tone = rise * (k + 1), other if k % 2 else rgb
        parts.append(Part("box", (-tread * (k + 0.5), 0, top / 2), (tread / 2, half, top / 2), tone, pattern))
    if rng.random() < 0.6:
        rail, slope = colour(rng), rise * count / length
        for side in (-1, 1):
            for k in range(0, count, 3):
                x = -tread * (k + 0.5)
                parts.append(Part("box", (x, side * half, 0.45 - slope * x), (0.02, 0.02, 0.5), rail, "metal"))
    return Item("stairs", parts, rectangle(length / 2, half, -length / 2), rise * count)


def exit_sign(rng: Rng, arrow: str) -> Item:
    """A sign high on a wall that points along it, or straight on."""
    half, z = rng.uniform(0.3, 0.45), rng.uniform(1.95, 2.25)
    tall = half * 0.4
    parts = [
        Part("box", (0.03, 0, z), (0.02, half, tall), np.ones(3), f"exit_{arrow}"),
        Part("box", (0.02, 0, z), (0.02, half + 0.015, tall + 0.015), np.full(3, 0.9)),
    ]
    return Item("exit sign", parts, np.zeros((0, 2)), z + tall, arrow=arrow, bottom=z - tall)


def picture(rng: Rng) -> Item:
    """Something flat on a wall that is nobody's goal."""
    half, tall, z = rng.uniform(0.2, 0.7), rng.uniform(0.2, 0.5), rng.uniform(1.35, 1.75)
    parts = [
        Part("box", (0.01, 0, z), (0.015, half, tall), colour(rng), material(rng, "flat", 0.8)),
        Part("box", (0.005, 0, z), (0.012, half + 0.03, tall + 0.03), colour(rng)),
    ]
    return Item("picture", parts, np.zeros((0, 2)), z + tall, bottom=z - tall)


def table(rng: Rng) -> Item:
    """Four legs and a top."""
    a, b, top = rng.uniform(0.4, 0.8), rng.uniform(0.3, 0.5), rng.uniform(0.65, 0.8)
    rgb = wood(rng) if rng.random() < 0.6 else colour(rng)
    legs = rgb if rng.random() < 0.5 else colour(rng, (0.1, 0.9), (0, 0.3))
    parts = [Part("box", (0, 0, top), (a, b, 0.025), rgb, material(rng, "cube"))]
    parts += [
        Part("box", (sx * (a - 0.05), sy * (b - 0.05), top / 2), (0.03, 0.03, top / 2), legs)
        for sx in (1, -1)
        for sy in (1, -1)
    ]
    return Item("table", parts, rectangle(a, b), top)


def chair(rng: Rng) -> Item:
    """Seat, back and four legs."""
    s, seat, back = rng.uniform(0.19, 0.25), rng.uniform(0.4, 0.48), rng.uniform(0.2, 0.28)
    rgb, pattern = (wood(rng) if rng.random() < 0.4 else colour(rng)), material(rng, "cube", 0.5)
    parts = [
        Part("box", (0, 0, seat), (s, s, 0.03), rgb, pattern),
        Part("box", (-s + 0.02, 0, seat + back), (0.025, s, back), rgb, pattern),
    ]
    parts += [
        Part("box", (sx * (s - 0.02), sy * (s - 0.02), seat / 2), (0.02, 0.02, seat / 2), rgb * 0.7)
        for sx in (1, -1)
        for sy in (1, -1)
    ]
    return Item("chair", parts, rectangle(s, s), seat + 2 * back)


def sofa(rng: Rng) -> Item:
    """Seat, back and two arms."""
    w = rng.uniform(0.65, 1.1)
    rgb, pattern = colour(rng, (0.2, 0.9)), material(rng, "cube", 0.5)
    parts = [
        Part("box", (0, 0, 0.22), (0.38, w, 0.2), rgb, pattern),
        Part("box", (-0.34, 0, 0.5), (0.1, w, 0.33), rgb, pattern),
        Part("box", (0, -w + 0.08, 0.35), (0.4, 0.1, 0.28), rgb * 0.9, pattern),
        Part("box", (0, w - 0.08, 0.35), (0.4, 0.1, 0.28), rgb * 0.9, pattern),
    ]
    return Item("sofa", parts, rectangle(0.42, w + 0.02), 0.83)


def box(rng: Rng) -> Item:
    """A carton, with tape."""
    a, b, h = rng.uniform(0.18, 0.4, 3)
    rgb = np.clip(np.array([0.72, 0.53, 0.33]) * rng.uniform(0.6, 1.25), 0, 1) if rng.random() < 0.75 else colour(rng)
    parts = [
        Part("box", (0, 0, h), (a, b, h), rgb, material(rng, "cube", 0.4)),
        Part("box", (0, 0, h + 0.002), (a, 0.03, h + 0.001), rgb * 0.8),
    ]
    return Item("box", parts, rectangle(a, b), 2 * h)


def plant(rng: Rng) -> Item:
    """A pot with leaves."""
    h, r = rng.uniform(0.13, 0.25), rng.uniform(0.12, 0.2)
    parts = [Part("cylinder", (0, 0, h), (r, h, 0), colour(rng))]
    for _ in range(4):
        green = np.clip(np.array([0.15, 0.45, 0.15]) * rng.uniform(0.6, 1.6) + rng.normal(0, 0.05, 3), 0, 1)
        x, y = rng.normal(0, 0.1, 2)
        a, b, c = rng.uniform(0.12, 0.32, 3)
        parts.append(Part("ellipsoid", (x, y, 2 * h + rng.uniform(0.1, 0.7)), (a, b, c), green))
    return Item("plant", parts, rectangle(0.25, 0.25), 2 * h + 0.9)


def person(rng: Rng) -> Item:
    """A standing figure."""
    tall = rng.uniform(1.5, 1.9)
    leg, trousers, top = 0.45 * tall, colour(rng, (0.05, 0.7)), colour(rng, (0.1, 1))
    skin = np.clip(np.array([0.85, 0.62, 0.5]) * rng.uniform(0.35, 1.15), 0, 1)
    sleeve = top if rng.random() < 0.7 else skin
    parts = [Part("capsule", (0, s * 0.09, leg / 2), (0.075, leg / 2 - 0.07, 0), trousers) for s in (-1, 1)]
    parts += [
        Part("ellipsoid", (0, 0, leg + 0.28), (0.13, 0.21, 0.34), top),
        Part("ellipsoid", (0, 0, tall - 0.12), (0.11, 0.095, 0.13), skin),
    ]
    parts += [Part("capsule", (0, s * 0.25, leg + 0.25), (0.05, 0.25, 0), sleeve) for s in (-1, 1)]
    return Item("person", parts, rectangle(0.2, 0.28), tall)


def cash_machine(rng: Rng) -> Item:
    """A cabinet against a wall, with a lit screen, keys and a slot at the height of the hands."""
    half, deep, tall = rng.uniform(0.28, 0.4), rng.uniform(0.22, 0.34), rng.uniform(1.4, 1.65)
    rgb, band = colour(rng, (0.2, 0.8), (0.2, 0.9)), colour(rng, (0.6, 1), (0.5, 1))
    front = deep + 0.01
    parts = [
        Part("box", (deep / 2, 0, tall / 2), (deep / 2, half, tall / 2), rgb, material(rng, "flat", 0.3)),
        Part("box", (front, 0, tall - 0.1), (0.01, half - 0.02, 0.08), band, "glow"),
        Part(
            "box", (front, -0.25 * half, 1.13), (0.01, 0.45 * half, 0.13), colour(rng, (0.5, 0.9), (0.3, 0.9)), "glow"
        ),
        Part("box", (front, 0.55 * half, 1.13), (0.012, 0.2 * half, 0.1), np.full(3, 0.75), "metal"),
        Part("box", (front, 0, 0.86), (0.015, 0.7 * half, 0.03), np.full(3, 0.06)),
    ]
    return Item("cash machine", parts, rectangle(deep / 2 + 0.02, half, deep / 2), tall)


def trolley(rng: Rng) -> Item:
    """A flat bed on small wheels with a tube frame at one end, mostly loaded."""
    a, b, tall = rng.uniform(0.4, 0.55), rng.uniform(0.24, 0.32), rng.uniform(0.9, 1.05)
    tube, bed = np.clip(np.full(3, rng.uniform(0.55, 0.9)), 0, 1), colour(rng, (0.3, 0.9))
    parts = [Part("box", (0, 0, 0.2), (a, b, 0.03), bed)]
    parts += [
        Part("box", (sx * (a - 0.07), sy * (b - 0.05), 0.09), (0.06, 0.025, 0.08), np.full(3, 0.08))
        for sx in (1, -1)
        for sy in (1, -1)
    ]
    parts += [
        Part("box", (-a, s * (b - 0.03), 0.5 * tall + 0.1), (0.025, 0.025, 0.5 * tall - 0.1), tube, "metal")
        for s in (-1, 1)
    ]
    parts.append(Part("box", (-a, 0, tall), (0.03, b, 0.03), tube, "metal"))
    for k in range(int(rng.integers(0, 3))):
        w, d, h = rng.uniform(0.14, 0.24), rng.uniform(0.12, 0.2), rng.uniform(0.1, 0.2)
        place = (-0.2 + 0.4 * k, rng.uniform(-0.05, 0.05), 0.23 + h)
        parts.append(Part("box", place, (w, d, h), colour(rng, (0.15, 0.9), (0.1, 0.9)), material(rng, "cube", 0.4)))
    return Item("trolley", parts, rectangle(a + 0.03, b), tall + 0.03)


ON_FLOOR: dict[str, Callable[[Rng], Item]] = {
    "table": table, "chair": chair, "sofa": sofa, "box": box, "plant": plant, "person": person, "trolley": trolley,
}  # fmt: skip
DOORS: Sequence[str] = ("door", "open door", "exit", "toilet")
