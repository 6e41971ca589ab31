"""A building as an SDF world with somebody in it who wears the rig."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET

from nav_vlm_sim.gazebo.bodies import Body, bodies, silhouette_colour, slug
from nav_vlm_sim.gazebo.elements import add, add_plugins, add_pose, root
from nav_vlm_sim.gazebo.rig import Worn, rig_model
from nav_vlm_sim.gazebo.simulators import Simulator
from nav_vlm_sim.gazebo.solids import add_solid
from nav_vlm_sim.scene import Light
from nav_vlm_sim.walks.building import Building

STEP_TIME = 0.004  # seconds
HEADLIGHT_REACH = 40.0  # metres
CONE = 3.1  # radians, a lamp's: half the room. Ogre 2 has no light at all from one whose half has no tangent
BACKGROUND = (255, 0, 128)  # behind silhouettes: no item has it


def world_document(
    building: Building, simulator: Simulator, worn: Worn, *, walk: int = 0, silhouettes: bool = False
) -> ET.Element:
    """The world.

    walk: of plan.walks, where the wearer stands; in the middle of the first room where the plan has none.
    silhouettes: everything in one colour per item (`bodies.silhouette_colour`), whatever the light.
    """
    sdf = root(simulator)
    world = add(sdf, "world", name=slug(building.plan.name) or "building")
    _add_physics(world, simulator)
    add_plugins(world, simulator.world_plugins)
    _add_scene(world, building, simulator, silhouettes)
    if not silhouettes:
        for name, room in building.lights.items():
            reach = 2 * math.hypot(*building.plan.room(name).half)
            for index, lamp in enumerate(room):
                _add_lamp(world, f"lamp_{slug(name)}_{index}", lamp, reach)
    for body in bodies(building):
        world.append(_static_model(body, simulator, silhouettes))
    x, y, yaw = start_of(building, walk)
    wearer = rig_model(simulator, worn, x, y, yaw)
    if not silhouettes:
        _add_headlight(wearer, simulator.brightness(near=building.scene.headlight), worn)
    world.append(wearer)
    return sdf


def start_of(building: Building, walk: int = 0) -> tuple[float, float, float]:
    """x, y [m] and yaw [rad] of where a walk begins."""
    if not building.plan.walks:
        return *building.plan.rooms[0].centre, 0.0
    start = building.plan.walks[walk]
    return start.x, start.y, math.radians(start.yaw)


def _add_physics(world: ET.Element, simulator: Simulator) -> None:
    physics = add(world, "physics", name="steps", type="ode")
    add(physics, "max_step_size", STEP_TIME)
    add(physics, "real_time_factor", 1.0)
    add(physics, "real_time_update_rate", 1 / STEP_TIME)


def _add_scene(world: ET.Element, building: Building, simulator: Simulator, silhouettes: bool) -> None:
    scene, level = add(world, "scene"), building.scene
    ambient = 0.0 if silhouettes else simulator.brightness(ambient=level.ambient)
    background = simulator.shade(value / 255 for value in BACKGROUND) if silhouettes else (0.0, 0.0, 0.0)
    add(scene, "ambient", (ambient, ambient, ambient, 1.0))
    add(scene, "background", (*background, 1.0))
    add(scene, "shadows", "false")
    add(scene, "grid", "false")


def _add_lamp(world: ET.Element, name: str, lamp: Light, reach: float) -> None:
    """A lamp up to `reach` [m]. As MuJoCo's: cos(angle off its axis) ** exponent."""
    light = add(world, "light", name=name, type="spot")
    add_pose(light, *lamp.position)
    red, green, blue = (min(1.0, max(0.0, value)) for value in lamp.diffuse)
    _add_light_of(light, (red, green, blue), 0.1, reach)
    add(light, "direction", lamp.direction)
    cone = add(light, "spot")
    for tag, value in (("inner_angle", 0.0), ("outer_angle", CONE), ("falloff", lamp.exponent)):
        add(cone, tag, value)


def _add_headlight(wearer: ET.Element, level: float, worn: Worn) -> None:
    """As MuJoCo's light at the camera: what faces the wearer is brighter."""
    link = wearer.find("link")
    assert link is not None
    light = add(link, "light", name="headlight", type="point")
    add_pose(light, 0, 0, worn.rig.camera_height)
    _add_light_of(light, (level, level, level), 0.0, HEADLIGHT_REACH)


def _add_light_of(light: ET.Element, rgb: tuple[float, float, float], gloss: float, reach: float) -> None:
    """Without shadows; as bright near and far, up to `reach` [m], but for Ogre 2 (see `Simulator.brightness`)."""
    add(light, "cast_shadows", "false")
    add(light, "diffuse", (*rgb, 1.0))
    add(light, "specular", (gloss, gloss, gloss, 1.0))
    fading = add(light, "attenuation")
    for tag, value in (("range", reach), ("constant", 1.0), ("linear", 0.0), ("quadratic", 0.0)):
        add(fading, tag, value)


def _static_model(body: Body, simulator: Simulator, silhouettes: bool) -> ET.Element:
    model = ET.Element("model", name=body.name)
    add(model, "static", "true")
    add_pose(model, body.x, body.y, 0.0, body.yaw)
    link = add(model, "link", name="link")
    colour = silhouette_colour(body.item) if silhouettes else None
    for index, part in enumerate(body.parts):
        add_solid(link, f"part_{index:03d}", part, simulator, colour)
    return model
