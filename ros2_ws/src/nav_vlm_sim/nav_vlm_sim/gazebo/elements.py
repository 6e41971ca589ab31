"""XML of SDF: small pieces that the world and the rig are made of."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable
from typing import TypeAlias

from nav_vlm_sim.gazebo.simulators import Plugin, Simulator

Value: TypeAlias = "str | float | Iterable[float]"


def add(parent: ET.Element, tag: str, value: Value | None = None, **attributes: str) -> ET.Element:
    """A new last child, with this text."""
    child = ET.SubElement(parent, tag, attributes)
    if value is not None:
        child.text = value if isinstance(value, str) else numbers(value)
    return child


def numbers(value: float | Iterable[float]) -> str:
    """Nine digits are less than a micrometre in a building."""
    values = (value,) if isinstance(value, (int, float)) else value
    return " ".join(f"{round(float(v), 9) + 0.0:.9g}" for v in values)


def add_pose(parent: ET.Element, x: float, y: float, z: float, yaw: float = 0.0, pitch: float = 0.0) -> None:
    """Position [m] and turns [rad] about the fixed axes, as SDF's roll, pitch, yaw."""
    add(parent, "pose", (x, y, z, 0.0, pitch, yaw))


def add_plugins(parent: ET.Element, plugins: Iterable[Plugin]) -> None:
    """Adds them in order."""
    for plugin in plugins:
        element = add(parent, "plugin", filename=plugin.filename, name=plugin.name)
        for name, value in plugin.parameters:
            add(element, name, value)


def root(simulator: Simulator) -> ET.Element:
    """An empty document."""
    return ET.Element("sdf", version=simulator.sdf)


def document(element: ET.Element) -> str:
    """The document as text."""
    ET.indent(element, " ")
    return '<?xml version="1.0"?>\n' + ET.tostring(element, encoding="unicode") + "\n"
