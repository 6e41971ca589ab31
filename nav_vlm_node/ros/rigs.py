"""Rig profiles: what a worn camera publishes and how it is worn. Files in config/rigs, or the user's own; no ROS here.

python -m nav_vlm_node.ros.rigs --table      # the table of docs/rigs.md
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nav_vlm_node import paths
from nav_vlm_node.errors import UserError
from nav_vlm_node.ros.images import ENCODINGS
from nav_vlm_node.ros.parameter_table import BY_NAME, Spec, Value
from nav_vlm_node.ros.parameters import defaults, objection
from nav_vlm_node.ros.params_file import read_yaml

TRANSPORTS = ("raw", "compressed")
RELIABILITIES = ("reliable", "best_effort")
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_TOPIC = re.compile(r"/?[A-Za-z_]\w*(/[A-Za-z_]\w*)*", re.ASCII)


def check_topic(topic: str) -> None:
    """Raises UserError for what ROS would refuse as a topic's name."""
    if not _TOPIC.fullmatch(topic):
        raise UserError(f"{topic!r} is no topic name; use letters, digits, _ and / as in /camera/image_raw")


@dataclass(frozen=True, kw_only=True)
class Topics:
    """Where the camera publishes. Relative names follow the namespace."""

    image: str = "image"
    compressed: str = ""
    camera_info: str = "camera_info"

    def __post_init__(self) -> None:
        for topic in (self.image, self.camera_info, *filter(None, [self.compressed])):
            check_topic(topic)

    @property
    def jpeg(self) -> str:
        """The topic of the compressed pictures, beside `image` unless it is named."""
        return self.compressed or f"{self.image}/compressed"

    @classmethod
    def beside(cls, image: str) -> Topics:
        """As ROS names what belongs to an image topic: `camera_info` in the same namespace, `<image>/compressed`."""
        base = image.removesuffix("/compressed")
        check_topic(base)
        return cls(image=base, camera_info=f"{base[: base.rfind('/') + 1]}camera_info")

    def remappings(self) -> tuple[tuple[str, str], ...]:
        """(own name, topic) of a node whose own names are image, image/compressed and camera_info."""
        wanted = (("image", self.image), ("image/compressed", self.jpeg), ("camera_info", self.camera_info))
        return tuple((own, topic) for own, topic in wanted if own != topic)


@dataclass(frozen=True, kw_only=True)
class RigProfile:
    """One file of config/rigs.

    name: the file's. driver: the command that starts the camera. worn: where the pose in `parameters` is meant for.
    image_transport: what is taken of it, raw or compressed. reliability: of its publishers; the node's subscription is
    best effort, which matches either. encodings: what its raw images come as. parameters: of the node nav_vlm.
    """

    name: str
    description: str
    driver: str = ""
    worn: str = ""
    topics: Topics = field(default_factory=Topics)
    image_transport: str = "raw"
    reliability: str = "reliable"
    encodings: tuple[str, ...] = ()
    parameters: dict[str, Value] = field(default_factory=dict)


NO_RIG = RigProfile(name="", description="the topics image and camera_info, and the node's own parameters")


def folder() -> Path:
    """Where the profiles are that come with nav_vlm."""
    return paths.config() / "rigs"


def names() -> tuple[str, ...]:
    """The profiles that come with nav_vlm."""
    return tuple(sorted(path.stem for path in folder().glob("*.yaml")))


def load(rig: str) -> RigProfile:
    """The profile of this name, or in this YAML file; "" is none. Raises UserError."""
    if not rig:
        return NO_RIG
    if _NAME.fullmatch(rig):
        if rig not in names():
            raise UserError(f"there is no rig {rig!r}; use one of {', '.join(names())}, or the path of a YAML file")
        return read(folder() / f"{rig}.yaml")
    return read(Path(rig).expanduser())


def read(path: Path) -> RigProfile:
    """The profile in a file, checked. Raises UserError, in one line that names the file."""
    content = read_yaml(path, "rig")
    try:
        return _profile(path.stem, content)
    except UserError as error:
        raise UserError(f"rig {path}: {error}") from None


def _profile(name: str, content: dict[str, Any]) -> RigProfile:
    allowed = ("description", "driver", "worn", "topics", "image_transport", "qos", "encodings", "parameters")
    _only(content, allowed, "")
    if "description" not in content:
        raise UserError("description is missing; say in a line which camera this is")
    topics = _mapping(content, "topics", ("image", "compressed", "camera_info"))
    qos = _mapping(content, "qos", ("reliability",))
    encodings = content.get("encodings", [])
    if not isinstance(encodings, list):
        raise UserError(f"encodings is {encodings!r}; give a list, as in [rgb8, bgr8]")
    for encoding in encodings:
        _choice("encodings", encoding, ENCODINGS)
    return RigProfile(
        name=name,
        description=str(content["description"]),
        driver=str(content.get("driver", "")),
        worn=str(content.get("worn", "")),
        topics=Topics(**{key: str(value) for key, value in topics.items()}),
        image_transport=_choice("image_transport", content.get("image_transport", "raw"), TRANSPORTS),
        reliability=_choice("qos.reliability", qos.get("reliability", "reliable"), RELIABILITIES),
        encodings=tuple(encodings),
        parameters=_parameters(content),
    )


def _parameters(content: dict[str, Any]) -> dict[str, Value]:
    """Checked values of parameters of the node; those with a launch argument of their own have no place here."""
    changeable = tuple(spec.name for spec in BY_NAME.values() if not spec.read_only)
    given = _mapping(content, "parameters", changeable)
    values = {name: as_declared(BY_NAME[name], value) for name, value in given.items()}
    why = objection(values, defaults())
    if why is not None:
        raise UserError(f"parameters: {why}")
    return values


def as_declared(spec: Spec | None, value: Any) -> Any:
    """`value`, a whole number made a float where the parameter is one: people write `0` for `0.0`."""
    return float(value) if spec is not None and isinstance(spec.default, float) and type(value) is int else value


def _mapping(content: dict[str, Any], key: str, allowed: tuple[str, ...]) -> dict[str, Any]:
    value = content.get(key) or {}
    if not isinstance(value, dict):
        raise UserError(f"{key} is {value!r}; give NAME: VALUE lines")
    _only(value, allowed, f"{key}.")
    return value


def _only(mapping: dict[str, Any], allowed: tuple[str, ...], prefix: str) -> None:
    for key in mapping:
        if key not in allowed:
            raise UserError(f"{prefix}{key} is not known; use {', '.join(allowed)}")


def _choice(key: str, value: Any, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise UserError(f"{key} is {value!r}; use one of {', '.join(allowed)}")
    return str(value)


def to_table() -> str:
    """The table of docs/rigs.md, in Markdown."""
    columns: tuple[tuple[str, Callable[[RigProfile], str]], ...] = (
        ("`rig:=`", lambda rig: f"`{rig.name}`"),
        ("camera", lambda rig: rig.description),
        ("image", lambda rig: f"`{rig.topics.image}`"),
        ("camera_info", lambda rig: f"`{rig.topics.camera_info}`"),
        ("its QoS", lambda rig: rig.reliability.replace("_", " ")),
        ("encodings", lambda rig: ", ".join(rig.encodings)),
        ("field of view", lambda rig: _degrees(rig, "camera_hfov")),
        ("worn", lambda rig: f"{rig.worn}: {_number(rig, 'camera_height')} m, {_degrees(rig, 'camera_pitch')} down"),
        ("driver", lambda rig: f"`{rig.driver}`"),
    )
    rows = [[title for title, _ in columns], ["---"] * len(columns)]
    rows += [[cell(load(name)) for _, cell in columns] for name in names()]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _number(rig: RigProfile, name: str) -> str:
    return f"{float(rig.parameters.get(name, BY_NAME[name].default)):g}"


def _degrees(rig: RigProfile, name: str) -> str:
    return f"{math.degrees(float(rig.parameters.get(name, BY_NAME[name].default))):.0f}°"


if __name__ == "__main__":
    if sys.argv[1:] != ["--table"]:
        sys.exit("usage: python -m nav_vlm_node.ros.rigs --table")
    print(to_table(), end="")
