"""Solids in one form, read from SDF and from MuJoCo: how far each reaches in some directions."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from dataclasses import dataclass

import mujoco
import numpy as np
import numpy.typing as npt

from nav_vlm_sim.world import World

Array = npt.NDArray[np.float64]
_rng = np.random.default_rng(5)
DIRECTIONS: Array = np.vstack([np.eye(3), -np.eye(3), _rng.normal(size=(9, 3))])
DIRECTIONS /= np.linalg.norm(DIRECTIONS, axis=1, keepdims=True)
"""[K, 3] unit vectors; nine askew, so that no turn of a solid looks like another."""


@dataclass(frozen=True)
class Frame:
    """at: [3] metres. turn: [3, 3] to the world."""

    at: Array
    turn: Array

    def then(self, inner: Frame) -> Frame:
        """The frame `inner`, given in this one, in the world."""
        return Frame(self.at + self.turn @ inner.at, self.turn @ inner.turn)


HERE = Frame(np.zeros(3), np.eye(3))


def frame_of(element: ET.Element) -> Frame:
    """Of its <pose>: x y z roll pitch yaw."""
    text = element.findtext("pose")
    if text is None:
        return HERE
    x, y, z, roll, pitch, yaw = map(float, text.split())
    return Frame(np.array([x, y, z]), _about("z", yaw) @ _about("y", pitch) @ _about("x", roll))


def _about(axis: str, angle: float) -> Array:
    c, s = math.cos(angle), math.sin(angle)
    rows = {
        "x": [[1, 0, 0], [0, c, -s], [0, s, c]],
        "y": [[c, 0, s], [0, 1, 0], [-s, 0, c]],
        "z": [[c, -s, 0], [s, c, 0], [0, 0, 1]],
    }
    return np.array(rows[axis], float)


def reach(shape: str, size: Array, frame: Frame) -> Array:
    """[K] metres from the origin to the plane across each direction that the solid touches. size: as MuJoCo's."""
    d = DIRECTIONS @ frame.turn
    if shape == "box":
        own = np.abs(d) @ size
    elif shape == "ellipsoid":
        own = np.linalg.norm(d * size, axis=1)
    elif shape == "cylinder":
        own = size[0] * np.hypot(d[:, 0], d[:, 1]) + size[1] * np.abs(d[:, 2])
    else:
        assert shape == "capsule"
        own = size[0] + size[1] * np.abs(d[:, 2])
    return np.asarray(DIRECTIONS @ frame.at + own)


def solids_of_sdf(world: ET.Element, tag: str) -> Array:
    """[N, K] reaches of all solids that stand still. tag: visual or collision. Pieces of one solid count as one."""
    rows: dict[tuple[str, str], Array] = {}
    for model in world.iter("model"):
        link = model.find("link")
        if model.findtext("static") != "true" or link is None:
            continue
        frame = frame_of(model).then(frame_of(link))
        for part in link.findall(tag):
            solid = model.attrib["name"], "_".join(part.attrib["name"].split("_")[:2])
            found = _reach_of(part, frame.then(frame_of(part)))
            rows[solid] = np.maximum(rows.get(solid, found), found)
    return np.array(list(rows.values()))


def _reach_of(part: ET.Element, frame: Frame) -> Array:
    (shape,) = list(part.find("geometry") or [])

    def number(tag: str) -> float:
        return float(shape.findtext(tag, "nan"))

    if shape.tag == "box":
        return reach("box", _numbers(shape, "size") / 2, frame)
    if shape.tag == "ellipsoid":
        return reach("ellipsoid", _numbers(shape, "radii"), frame)
    if shape.tag == "mesh":
        ball = shape.findtext("uri") == "meshes/sphere.obj"
        scale = _numbers(shape, "scale")
        return reach("ellipsoid", scale, frame) if ball else reach("box", scale / 2, frame)
    if shape.tag == "sphere":
        return reach("capsule", np.array([number("radius"), 0.0, 0.0]), frame)
    return reach(shape.tag, np.array([number("radius"), number("length") / 2, 0.0]), frame)


def _numbers(element: ET.Element, tag: str) -> Array:
    return np.array([float(word) for word in element.findtext(tag, "").split()])


def solids_of_mujoco(world: World) -> Array:
    """[N, K] reaches of all that MuJoCo draws now."""
    kinds = {
        int(getattr(mujoco.mjtGeom, f"mjGEOM_{n.upper()}")): n for n in ("box", "cylinder", "capsule", "ellipsoid")
    }
    rows = []
    for geom in np.flatnonzero(world.model.geom_group == 0):
        frame = Frame(world.data.geom_xpos[geom].copy(), world.data.geom_xmat[geom].reshape(3, 3).copy())
        rows.append(reach(kinds[int(world.model.geom_type[geom])], world.model.geom_size[geom].copy(), frame))
    return np.array(rows)


def unmatched(some: Array, others: Array) -> list[float]:
    """Metres from each solid to the most similar one of the others that is not yet taken; inf for what is left over."""
    away = np.abs(some[:, None] - others[None]).max(-1)
    found = []
    for row in away:
        nearest = int(row.argmin())
        found.append(float(row[nearest]))
        away[:, nearest] = math.inf
    return found + [math.inf] * (len(others) - len(some))
