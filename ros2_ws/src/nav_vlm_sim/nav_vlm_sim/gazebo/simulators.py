"""The Gazebos that are exported for, and what differs between them. Geometry does not."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """A plugin of a world or of a model, with its parameters."""

    filename: str
    name: str
    parameters: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Simulator:
    """sdf: version of the format. curved: it knows ellipsoids and capsules; else they are meshes, cylinders and
    spheres. depth_sensor: the name of that sort of sensor. depth_format: of its pixels, "" where that cannot be said.
    body_visual: the wearer's body can be shown to everybody but the worn cameras. ogre2: it draws with
    Ogre 2, whose colours and lights are others (see `shade` and `brightness`).
    """

    name: str
    sdf: str
    curved: bool
    depth_sensor: str
    depth_format: str
    body_visual: bool
    ogre2: bool
    world_plugins: tuple[Plugin, ...] = ()
    rig_plugins: tuple[Plugin, ...] = ()

    def shade(self, colour: Iterable[float]) -> tuple[float, ...]:
        """An RGB 0..1 as this simulator takes it, for it to come out as that in a picture.

        Ogre 2 takes linear values and encodes pictures as sRGB (gz-rendering 8, Ogre2RenderTarget.cc; IEC 61966-2-1).
        """
        if not self.ogre2:
            return tuple(colour)
        return tuple(c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour)

    def brightness(self, *, ambient: float = 0.0, near: float = 0.0) -> float:
        """What an ambient level 0..1, or that of a light whose reach is far greater than the scene, is written as.

        Ogre 2 divides ambient light by pi, but not that of lights, and doubles what is near a light (its
        ForwardPlus_piece_ps: 1 / (0.5 + linear d + quadratic d d), fading to 0 at the reach; `constant` is not read).
        """
        return min(1.0, math.pi * ambient + near / 2) if self.ogre2 else ambient + near


def _system(library: str, name: str, *parameters: tuple[str, str]) -> Plugin:
    return Plugin(filename=f"gz-sim-{library}-system", name=f"gz::sim::systems::{name}", parameters=parameters)


WEARER = "wearer"  # the rig model's name, and where its topics are
GZ = Simulator(
    name="gz",
    sdf="1.9",
    curved=True,
    depth_sensor="depth_camera",
    depth_format="R_FLOAT32",
    body_visual=True,
    ogre2=True,
    world_plugins=(
        _system("physics", "Physics"),
        _system("user-commands", "UserCommands"),
        _system("scene-broadcaster", "SceneBroadcaster"),
        _system("sensors", "Sensors", ("render_engine", "ogre2")),
        _system("imu", "Imu"),
    ),
    rig_plugins=(
        _system("velocity-control", "VelocityControl", ("topic", f"{WEARER}/cmd_vel")),
        _system(
            "odometry-publisher", "OdometryPublisher", ("odom_topic", f"{WEARER}/odom"), ("odom_frame", "odom"),
            ("robot_base_frame", "base_link"), ("odom_publish_frequency", "30"),
        ),
    ),
)  # fmt: skip
"""Current Gazebo, from Harmonic on."""

CLASSIC = Simulator(
    name="classic", sdf="1.7", curved=False, depth_sensor="depth", depth_format="", body_visual=False,
    ogre2=False,
)  # fmt: skip
"""Gazebo Classic 11, whose life has ended: a test bed. Its plugins that move things are not ROS 2's."""

SIMULATORS = {simulator.name: simulator for simulator in (GZ, CLASSIC)}
