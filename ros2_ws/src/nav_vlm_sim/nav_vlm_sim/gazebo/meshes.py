"""Meshes as Wavefront OBJ: a sphere, and cubes that carry a sign's picture."""

from __future__ import annotations

import math
from itertools import pairwise

SLICES, STACKS = 48, 24


def sphere_obj() -> str:
    """A sphere of radius 1; scaled, it is an ellipsoid."""
    points = [
        (math.sin(p) * math.cos(a), math.sin(p) * math.sin(a), math.cos(p))
        for p in (math.pi * k / STACKS for k in range(STACKS + 1))
        for a in (2 * math.pi * k / SLICES for k in range(SLICES))
    ]
    lines = ["mtllib sphere.mtl", "usemtl sphere"]
    lines += [f"{tag} {x:.6f} {y:.6f} {z:.6f}" for tag in ("v", "vn") for x, y, z in points]
    for above, below in pairwise(range(0, len(points), SLICES)):
        for k in range(SLICES):
            after = (k + 1) % SLICES
            if above:  # the first stack has its upper corners in the pole
                lines.append(_face(above + k, below + k, above + after))
            if below < len(points) - SLICES:
                lines.append(_face(above + after, below + k, below + after))
    return "\n".join(lines) + "\n"


def sphere_mtl() -> str:
    """Grey; where it is used, the world gives the colour."""
    return "newmtl sphere\nKa 0.5 0.5 0.5\nKd 0.5 0.5 0.5\nKs 0 0 0\n"


def _face(*corners: int) -> str:
    return "f " + " ".join(f"{corner + 1}//{corner + 1}" for corner in corners)


def sign_obj(material: str) -> str:
    """A cube of side 1; who looks at its face towards x sees the picture upright, the other faces have its edge."""
    lines = [f"mtllib {material}.mtl", f"usemtl {material}"]
    lines += [f"v {x} {y} {z}" for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)]
    lines += ["vt 0 0", "vt 1 0", "vt 1 1", "vt 0 1", "vt 0.01 0.01"]
    lines += ["vn 1 0 0", "vn -1 0 0", "vn 0 1 0", "vn 0 -1 0", "vn 0 0 1", "vn 0 0 -1"]
    lines.append("f 5/1/1 7/2/1 8/3/1 6/4/1")
    sides = ((3, 1, 2, 4), (7, 3, 4, 8), (1, 5, 6, 2), (6, 8, 4, 2), (1, 3, 7, 5))
    for normal, corners in enumerate(sides, start=2):
        lines.append("f " + " ".join(f"{corner}/5/{normal}" for corner in corners))
    return "\n".join(lines) + "\n"


def sign_mtl(material: str, glow: float) -> str:
    """The picture lies beside the meshes. glow: 0..1, what of its own light is added, to all of it alike."""
    shining = " ".join([f"{glow:g}"] * 3)
    return f"newmtl {material}\nKa 1 1 1\nKd 1 1 1\nKs 0 0 0\nKe {shining}\nmap_Kd {material}.png\n"
