"""What the wearer carries: how the camera sways, and odometry that drifts. Equal for equal seeds, tick by tick."""

from __future__ import annotations

import math

import numpy as np

from nav_vlm_node.score import wrap
from nav_vlm_node.session import Place
from nav_vlm_node.view import Camera, Rig
from nav_vlm_sim.scene import Pose
from nav_vlm_sim.walks.walker import TICK

RIG = Rig(camera_pitch=math.radians(10), camera_height=1.4)
CAMERA = Camera.from_fov(480, 360, math.radians(90))
SWAY = math.radians(1.5)  # standard deviation of the camera's pitch and roll
SCALE = 0.02  # standard deviation of the odometry's scale error
DRIFT = math.radians(0.07)  # standard deviation of its heading error per tick: half a degree in 5 s


def camera_pose(seed: int, time: float, x: float, y: float, yaw: float) -> Pose:
    """Of the camera of somebody who stands there at that time [s] of the walk of that seed."""
    pitch, roll = np.random.default_rng([seed, 810, round(time / TICK)]).normal(0, SWAY, 2)
    return Pose(x=x, y=y, height=RIG.camera_height, yaw=yaw, pitch=RIG.camera_pitch + float(pitch), roll=float(roll))


class Odometry:
    """Where the wearer is by their own counting: a scale error, and a heading that drifts. `step` it every tick."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng([seed, 809])
        self._scale = 1 + self._rng.normal(0, SCALE)
        self._drift = 0.0
        self._last: tuple[float, float] | None = None
        self.place = Place(0.0, 0.0, 0.0)

    def step(self, x: float, y: float, yaw: float) -> Place:
        """Where they say they are when they are there: from the origin on, in the building's directions."""
        if self._last is not None:
            dx, dy = x - self._last[0], y - self._last[1]
            c, s = math.cos(self._drift), math.sin(self._drift)
            moved = self._scale * (c * dx - s * dy), self._scale * (s * dx + c * dy)
            self._drift += self._rng.normal(0, DRIFT)
        else:
            moved = 0.0, 0.0
        self._last = x, y
        self.place = Place(self.place.x + moved[0], self.place.y + moved[1], wrap(yaw + self._drift))
        return self.place
