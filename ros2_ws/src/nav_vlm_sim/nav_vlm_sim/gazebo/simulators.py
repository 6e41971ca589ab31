"""The Gazebos that are exported for, and what differs between them. Geometry does not."""

from __future__ import annotations

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
    body_visual: the wearer's body can be shown to everybody but the worn cameras."""

    name: str
    sdf: str
    curved: bool
    depth_sensor: str
    depth_format: str
    body_visual: bool
    world_plugins: tuple[Plugin, ...] = ()
    rig_plugins: tuple[Plugin, ...] = ()


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

CLASSIC = Simulator(name="classic", sdf="1.7", curved=False, depth_sensor="depth", depth_format="", body_visual=False)
"""Gazebo Classic 11, whose life has ended: a test bed. Its plugins that move things are not ROS 2's."""

SIMULATORS = {simulator.name: simulator for simulator in (GZ, CLASSIC)}
