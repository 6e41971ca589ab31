"""The worn rig as an SDF model: a body that walks, with a camera, a depth camera and an IMU."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass, field

from nav_vlm_node.ros import rigs
from nav_vlm_node.view import Camera, Rig
from nav_vlm_sim.gazebo.elements import add, add_plugins, add_pose, root
from nav_vlm_sim.gazebo.simulators import WEARER, Simulator

BODY_RADIUS, BODY_HEIGHT, BODY_MASS = 0.25, 1.7, 75.0  # metres, metres, kilograms
INERTIA = 1e6  # kg m^2, far more than anybody's: what touches the body neither topples nor turns it
GROUND_GAP = 0.02  # metres between the body and the floor: it is moved by its velocity, not by friction
RATES = {"camera": 10.0, "depth": 10.0, "imu": 100.0}  # Hz
DEPTH_RANGE = (0.2, 10.0)  # metres
CLIP = (0.04, 40.0)  # metres; MuJoCo's own are those of world.py
# What is only the body's flag is not seen through the mask; its highest bits are gz-rendering's own (RenderTypes.hh).
_BODY_FLAG, _WORN_MASK = 0x1, 0x0FFFFFFE


def _sim_rig() -> tuple[Camera, Rig]:
    values = rigs.load("sim").parameters
    hfov, pitch, height = (float(values[name]) for name in ("camera_hfov", "camera_pitch", "camera_height"))
    return Camera.from_fov(640, 480, hfov), Rig(camera_pitch=pitch, camera_height=height)


@dataclass(frozen=True, kw_only=True)
class Worn:
    """camera: without distortion, with square pixels, its middle in the middle. rig: how it is worn, upright."""

    camera: Camera = field(default_factory=lambda: _sim_rig()[0])
    rig: Rig = field(default_factory=lambda: _sim_rig()[1])


def rig_document(simulator: Simulator, worn: Worn) -> ET.Element:
    """The model alone, to be put into other worlds."""
    sdf = root(simulator)
    sdf.append(rig_model(simulator, worn))
    return sdf


def rig_model(simulator: Simulator, worn: Worn, x: float = 0.0, y: float = 0.0, yaw: float = 0.0) -> ET.Element:
    """The wearer at x, y [m], facing `yaw` [rad]; the link's origin is on the floor."""
    model = ET.Element("model", name=WEARER)
    add_pose(model, x, y, 0.0, yaw)
    link = add(model, "link", name="base_link")
    add(link, "gravity", "false")
    _add_body(link, simulator)
    _add_camera(link, "camera", "camera", f"{WEARER}/image", CLIP, worn, simulator)
    _add_camera(link, "depth", simulator.depth_sensor, f"{WEARER}/depth/image", DEPTH_RANGE, worn, simulator)
    imu = _add_sensor(link, "imu", "imu", f"{WEARER}/imu")
    add_pose(imu, 0, 0, worn.rig.camera_height)
    from_east = add(add(imu, "imu"), "orientation_reference_frame")  # REP-103; else from how it hangs at the start
    add(from_east, "localization", "ENU")
    add_plugins(model, simulator.rig_plugins)
    return model


def _add_body(link: ET.Element, simulator: Simulator) -> None:
    length = BODY_HEIGHT - GROUND_GAP
    middle = GROUND_GAP + length / 2
    inertial = add(link, "inertial")
    add_pose(inertial, 0, 0, middle)
    add(inertial, "mass", BODY_MASS)
    inertia = add(inertial, "inertia")
    for name in ("ixx", "iyy", "izz", "ixy", "ixz", "iyz"):
        add(inertia, name, INERTIA if name[1] == name[2] else 0.0)
    for tag in ("collision", "visual") if simulator.body_visual else ("collision",):
        element = add(link, tag, name="body")
        add_pose(element, 0, 0, middle)
        cylinder = add(add(element, "geometry"), "cylinder")
        add(cylinder, "radius", BODY_RADIUS)
        add(cylinder, "length", length)
        if tag == "visual":
            add(element, "visibility_flags", str(_BODY_FLAG))
        else:  # without friction it slides along a wall, and does not roll along it
            friction = add(add(add(element, "surface"), "friction"), "ode")
            for name in ("mu", "mu2"):
                add(friction, name, 0.0)


def _add_sensor(link: ET.Element, name: str, sort: str, topic: str) -> ET.Element:
    sensor = add(link, "sensor", name=name, type=sort)
    add(sensor, "update_rate", RATES[name])
    add(sensor, "topic", topic)
    return sensor


def _add_camera(
    link: ET.Element, name: str, sort: str, topic: str, clip: tuple[float, float], worn: Worn, simulator: Simulator
) -> None:
    """SDF's camera looks along x, as the wearer does: its pose is the rig's yaw and pitch."""
    sensor, rig = _add_sensor(link, name, sort, topic), worn.rig
    add_pose(sensor, 0, 0, rig.camera_height, rig.camera_yaw, rig.camera_pitch)
    camera = add(sensor, "camera")
    add(camera, "horizontal_fov", worn.camera.hfov)
    image = add(camera, "image")
    add(image, "width", str(worn.camera.width))
    add(image, "height", str(worn.camera.height))
    pixels = "R8G8B8" if name == "camera" else simulator.depth_format
    if pixels:
        add(image, "format", pixels)
    ends = add(camera, "clip")
    add(ends, "near", clip[0])
    add(ends, "far", clip[1])
    if simulator.body_visual:
        add(camera, "visibility_mask", str(_WORN_MASK))
