"""Places and turns of models: unit quaternions (w, x, y, z), as Gazebo has them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from nav_vlm_node.view import Rig
from nav_vlm_sim.scene import Pose

Turn: TypeAlias = "tuple[float, float, float, float]"


@dataclass(frozen=True)
class Placed:
    """at: metres. turn: from the thing's frame to the world's."""

    at: tuple[float, float, float]
    turn: Turn


def turn(yaw: float, pitch: float = 0.0, roll: float = 0.0) -> Turn:
    """Roll, then pitch, then yaw about the fixed axes x, y, z [rad], as SDF's."""
    return times(times(_about(3, yaw), _about(2, pitch)), _about(1, roll))


def standing(x: float, y: float, yaw: float) -> Placed:
    """Upright on the floor."""
    return Placed((x, y, 0.0), turn(yaw))


def wearer_of(pose: Pose, rig: Rig) -> Placed:
    """Where the rig's model must be, and how tilted, for its camera to be at `pose`."""
    wanted = turn(pose.yaw + rig.camera_yaw, pose.pitch, pose.roll)
    w, x, y, z = turn(rig.camera_yaw, rig.camera_pitch)
    whole = times(wanted, (w, -x, -y, -z))
    below = np.array([pose.x, pose.y, pose.height]) - rotated(whole, (0.0, 0.0, rig.camera_height))
    return Placed((float(below[0]), float(below[1]), float(below[2])), whole)


def times(one: Turn, other: Turn) -> Turn:
    """`other` first, then `one`."""
    (a, b, c, d), (e, f, g, h) = one, other
    return (
        a * e - b * f - c * g - d * h, a * f + b * e + c * h - d * g,
        a * g - b * h + c * e + d * f, a * h + b * g - c * f + d * e,
    )  # fmt: skip


def rotated(by: Turn, point: tuple[float, float, float]) -> tuple[float, float, float]:
    """The point, turned about the origin."""
    w, x, y, z = by
    _, a, b, c = times(times(by, (0.0, *point)), (w, -x, -y, -z))
    return a, b, c


def _about(axis: int, angle: float) -> Turn:
    parts = [math.cos(angle / 2), 0.0, 0.0, 0.0]
    parts[axis] = math.sin(angle / 2)
    return parts[0], parts[1], parts[2], parts[3]
