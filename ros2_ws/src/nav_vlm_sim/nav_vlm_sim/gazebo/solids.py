"""One solid of MuJoCo's as visuals and collisions of SDF."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence

import numpy as np

from nav_vlm_sim.furniture import Part
from nav_vlm_sim.gazebo.bodies import SIGNS
from nav_vlm_sim.gazebo.elements import add, add_pose
from nav_vlm_sim.gazebo.simulators import Simulator

SPHERE_MESH = "meshes/sphere.obj"  # of radius 1
PATTERN_MEAN = 215 / 255  # how bright a surface pattern is on average; see textures.surface


def sign_mesh(material: str) -> str:
    """A cube of side 1 with the sign's picture on its face towards x."""
    return f"meshes/{material}.obj"


def add_solid(
    link: ET.Element, name: str, part: Part, simulator: Simulator, silhouette: Sequence[int] | None = None
) -> None:
    """Adds what is seen of the part, and what stops a body.

    silhouette: RGB 0..255 that all of it is drawn in, whatever the light; None for its own colour.
    """
    picture = part.material in SIGNS and silhouette is None
    for index, (offset, geometry) in enumerate(_geometries(part, simulator)):
        for tag in ("collision", "visual"):
            element = add(link, tag, name=f"{name}_{index}" if index else name)
            x, y, z = part.position
            add_pose(element, x, y, z + offset, part.yaw)
            shape = add(element, "geometry")
            if tag == "visual" and picture:
                _add_mesh(shape, sign_mesh(part.material), tuple(2 * edge for edge in part.size))
                continue
            _add_geometry(shape, geometry)
            if tag == "visual":
                _add_material(element, part, simulator, silhouette)


Geometry = tuple[str, tuple[float, ...]]


def _geometries(part: Part, simulator: Simulator) -> Iterator[tuple[float, Geometry]]:
    """(metres above the part's middle, shape and its sizes as in SDF)."""
    a, b, c = part.size
    if part.shape == "box":
        yield 0.0, ("box", (2 * a, 2 * b, 2 * c))
    elif part.shape == "cylinder":
        yield 0.0, ("cylinder", (a, 2 * b))
    elif part.shape == "ellipsoid":
        yield 0.0, ("ellipsoid" if simulator.curved else "mesh", (a, b, c))
    elif part.shape == "capsule":
        if simulator.curved:
            yield 0.0, ("capsule", (a, 2 * b))
        else:
            yield 0.0, ("cylinder", (a, 2 * b))
            yield -b, ("sphere", (a,))
            yield b, ("sphere", (a,))
    else:
        raise ValueError(f"no solid is called {part.shape!r}")


_SIZES = {
    "box": (("size", 3),), "cylinder": (("radius", 1), ("length", 1)), "capsule": (("radius", 1), ("length", 1)),
    "ellipsoid": (("radii", 3),), "sphere": (("radius", 1),),
}  # fmt: skip


def _add_geometry(parent: ET.Element, geometry: Geometry) -> None:
    shape, sizes = geometry
    if shape == "mesh":
        _add_mesh(parent, SPHERE_MESH, sizes)
        return
    element, first = add(parent, shape), 0
    for tag, count in _SIZES[shape]:
        add(element, tag, sizes[first : first + count])
        first += count


def _add_mesh(parent: ET.Element, uri: str, scale: Sequence[float]) -> None:
    mesh = add(parent, "mesh")
    add(mesh, "uri", uri)
    add(mesh, "scale", scale)


def _add_material(visual: ET.Element, part: Part, simulator: Simulator, silhouette: Sequence[int] | None) -> None:
    material, black = add(visual, "material"), (0.0, 0.0, 0.0, 1.0)
    if silhouette is not None:
        colours: tuple[tuple[float, ...], ...] = (
            black,
            black,
            black,
            (*simulator.shade(value / 255 for value in silhouette), 1.0),
        )
    else:
        rgb = np.clip(np.asarray(part.rgb, float) * (PATTERN_MEAN if ":" in part.material else 1.0), 0, 1)
        own, gloss = (*simulator.shade(rgb.tolist()), 1.0), 0.5 if part.material == "metal" else 0.05
        colours = (own, own, (gloss, gloss, gloss, 1.0), own if part.material == "glow" else black)
    for tag, colour in zip(("ambient", "diffuse", "specular", "emissive"), colours, strict=True):
        add(material, tag, colour)
