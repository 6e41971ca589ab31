"""What `bringup.launch.py` and `nav-vlm up` start: one table of arguments, and the nodes that follow from them.

No ROS here. An argument that is not given ("") leaves the matter to the parameter file, then to the rig's profile, then
to the node's own default, so that no default is written down twice. In short, each beats the next:

    argument  >  params_file  >  rig  >  the node's default
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nav_vlm_node.errors import UserError
from nav_vlm_node.ros import camera_tables, rigs
from nav_vlm_node.ros.parameter_table import BY_NAME, Spec
from nav_vlm_node.ros.parameters import defaults, objection
from nav_vlm_node.ros.params_file import parameters_from_file

JPEG_BY_NAME = {spec.name: spec for spec in camera_tables.JPEG}
NAV_VLM = "nav_vlm"
JPEG = "image_to_jpeg"
BASE_ALONE = "none"  # adapter:=none, since an argument that is empty is one that was not given
_NAMESPACE = re.compile(r"([A-Za-z_]\w*(/[A-Za-z_]\w*)*)?", re.ASCII)
_ROS_OWN = re.compile(r"use_sim_time|start_type_description_service|qos_overrides\..*")
_BOOLEANS = {"true": True, "false": False}


@dataclass(frozen=True, kw_only=True)
class Argument:
    """One argument of the launch file and of `nav-vlm up`. choices: the only values, where there are any."""

    name: str
    default: str
    description: str
    choices: tuple[str, ...] = ()


def _of_parameter(name: str, description: str, choices: tuple[str, ...] = ()) -> Argument:
    """An argument that becomes parameter `name` of the node."""
    shown = {"model": "the embedded model", "adapter": "the one that the model names"}.get(name)
    shown = shown or str(BY_NAME[name].default).lower()
    return Argument(
        name=name,
        default="",
        description=f"{description}; not given: what params_file says, else {shown}",
        choices=("", *choices) if choices else (),
    )


ARGUMENTS: tuple[Argument, ...] = (
    Argument(name="namespace", default="", description="namespace of every node and of every relative topic"),
    Argument(
        name="use_sim_time",
        default="",
        choices=("", "true", "false"),
        description="take the time from /clock, for simulation and bags; not given: what params_file says, else false",
    ),
    Argument(
        name="params_file",
        default="",
        description="YAML file of parameters, made from config/nav_vlm.yaml; it beats the rig's profile",
    ),
    _of_parameter(
        "autostart", "configure and activate at start, without a lifecycle manager", choices=("true", "false")
    ),
    Argument(
        name="log_level",
        default="info",
        choices=("debug", "info", "warn", "error", "fatal"),
        description="the least severe messages that are logged",
    ),
    _of_parameter("model", "model directory in save_pretrained layout"),
    _of_parameter("adapter", f"LoRA adapter: a name in the model directory, or a path; {BASE_ALONE}: the base alone"),
    _of_parameter("device", "where the model runs: auto, cpu, cuda, cuda:1, ..."),
    Argument(
        name="rig",
        default="",
        description="the worn camera: d435i, oak_d, sim, usb_cam (also v4l2_camera), zed, or the path of a profile of "
        "your own; not given: the topics image and camera_info, and the node's own parameters",
    ),
    Argument(
        name="image_transport",
        default="",
        choices=("", *rigs.TRANSPORTS),
        description="what the camera publishes that is to be used: raw (Image) or compressed (jpeg, png); "
        "not given: what params_file says, else the rig, else raw",
    ),
    Argument(
        name="image_topic",
        default="",
        description="the camera's image topic, instead of the rig's; camera_info is expected beside it",
    ),
    Argument(
        name="odom_topic",
        default="",
        description="where the wearer's odometry is (nav_msgs/Odometry), for the memory of the way; not given: odom",
    ),
    Argument(
        name="role",
        default="all",
        choices=("all", "wearer", "gpu"),
        description="what runs here. all: everything. With the GPU on another machine, wearer: on the rig, makes jpegs "
        "of the raw images; gpu: there, answers from the jpegs",
    ),
    Argument(
        name="respawn",
        default="false",
        choices=("true", "false"),
        description="start a node again 2 s after it has died (needs ros2 launch)",
    ),
)
RESPAWN_DELAY = 2.0  # seconds


@dataclass(frozen=True, kw_only=True)
class NodePlan:
    """A node to start: everything that it needs to know. executable: of the package nav_vlm."""

    name: str
    executable: str
    namespace: str
    parameters: dict[str, Any]
    remappings: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be started. notes: what the user may not have meant, one line each."""

    nodes: tuple[NodePlan, ...]
    log_level: str
    respawn: bool
    notes: tuple[str, ...]


def plan(given: Mapping[str, str]) -> Plan:
    """What these arguments ask for; those that are missing have their defaults. Raises UserError, in one line."""
    values = _checked(given)
    notes: list[str] = []
    profile = rigs.load(values["rig"])
    topics = rigs.Topics.beside(values["image_topic"]) if values["image_topic"] else profile.topics
    wearer = values["role"] == "wearer"
    name, table = (JPEG, JPEG_BY_NAME) if wearer else (NAV_VLM, BY_NAME)
    from_file = _from_file(values, name, table, notes)
    transport = _transport(values, profile, from_file)
    parameters: dict[str, Any] = {**from_file}
    if values["use_sim_time"]:
        parameters["use_sim_time"] = _BOOLEANS[values["use_sim_time"]]
    if wearer:
        node = _wearer(values, parameters, topics, transport, notes)
    else:
        node = _answering(values, parameters, profile, topics, transport, notes)
    return Plan(nodes=(node,), log_level=values["log_level"], respawn=_BOOLEANS[values["respawn"]], notes=tuple(notes))


def _checked(given: Mapping[str, str]) -> dict[str, str]:
    """Every argument's value. Raises UserError."""
    known = [argument.name for argument in ARGUMENTS]
    for name in given:
        if name not in known:
            raise UserError(f"{name} is no argument; use {', '.join(known)}")
    values = {argument.name: given.get(argument.name, argument.default) for argument in ARGUMENTS}
    for argument in ARGUMENTS:
        if argument.choices and values[argument.name] not in argument.choices:
            choices = ", ".join(filter(None, argument.choices))
            raise UserError(f"{argument.name} is {values[argument.name]!r}: use one of {choices}")
    values["namespace"] = namespace_of(values["namespace"])
    return values


def namespace_of(given: str) -> str:
    """A namespace without slashes at its ends; "" for none. Raises UserError for what ROS would refuse."""
    namespace = given.strip("/")
    if not _NAMESPACE.fullmatch(namespace):
        raise UserError(f"namespace {namespace!r} is not valid; use letters, digits, _ and /")
    return namespace


def _from_file(values: Mapping[str, str], name: str, table: Mapping[str, Spec], notes: list[str]) -> dict[str, Any]:
    """What params_file says about this node."""
    path = values["params_file"]
    if not path:
        return {}
    full_name = "/".join(["", *filter(None, [values["namespace"]]), name])
    found = parameters_from_file(path, full_name)
    if not found:
        notes.append(f"params_file {path} has nothing for {full_name}; its section may be named {name} or /**/{name}")
    for unknown in sorted(key for key in found if key not in table and not _ROS_OWN.fullmatch(key)):
        notes.append(f"params_file {path}: {name} has no parameter {unknown}")
    return {key: rigs.as_declared(table.get(key), value) for key, value in found.items()}


def _transport(values: Mapping[str, str], profile: rigs.RigProfile, from_file: Mapping[str, Any]) -> str:
    """What the camera publishes: raw or compressed."""
    if values["image_transport"]:
        return values["image_transport"]
    transport = from_file.get("image_transport", profile.image_transport)
    if transport not in rigs.TRANSPORTS:
        raise UserError(f"params_file: image_transport is {transport!r}: use one of {', '.join(rigs.TRANSPORTS)}")
    return str(transport)


def _answering(
    values: Mapping[str, str],
    parameters: dict[str, Any],
    profile: rigs.RigProfile,
    topics: rigs.Topics,
    transport: str,
    notes: list[str],
) -> NodePlan:
    """The node nav_vlm, on the wearer's computer or on the GPU's."""
    for name, value in profile.parameters.items():
        if parameters.setdefault(name, value) != value:
            notes.append(f"{name} is {parameters[name]} by params_file, not {value} as in rig {profile.name}")
    for name in ("model", "adapter", "device"):
        if values[name]:
            parameters[name] = values[name]
    if values["adapter"] == BASE_ALONE:
        parameters["adapter"] = ""
    if values["autostart"]:
        parameters["autostart"] = _BOOLEANS[values["autostart"]]
    remappings = dict(topics.remappings())
    if values["odom_topic"]:
        rigs.check_topic(values["odom_topic"])
        remappings["odom"] = values["odom_topic"]
    if values["role"] == "gpu" and transport == "raw":
        remappings.pop("image/compressed", None)  # not the camera's: what role wearer makes
        transport = "compressed"
    parameters["image_transport"] = transport
    why = objection(parameters, defaults())
    if why is not None:
        raise UserError(why)
    return NodePlan(
        name=NAV_VLM,
        executable="guide_node",
        namespace=values["namespace"],
        parameters=parameters,
        remappings=tuple(remappings.items()),
    )


def _wearer(
    values: Mapping[str, str], parameters: dict[str, Any], topics: rigs.Topics, transport: str, notes: list[str]
) -> NodePlan:
    """The node that makes jpegs of the raw images, for the other machine."""
    if transport == "compressed":
        raise UserError(
            "role wearer has nothing to do for a camera that publishes jpeg itself; start only role:=gpu "
            "image_transport:=compressed, on the other machine"
        )
    unused = [name for name in ("model", "adapter", "device", "autostart", "odom_topic") if values[name]]
    if unused:
        notes.append(f"role wearer runs no model: {', '.join(unused)} without effect; give them where role is gpu")
    for name, value in parameters.items():
        why = JPEG_BY_NAME[name].objection(value) if name in JPEG_BY_NAME else None
        if why is not None:
            raise UserError(why)
    remappings = tuple((own, topic) for own, topic in topics.remappings() if own == "image")
    return NodePlan(
        name=JPEG,
        executable="republish_node",
        namespace=values["namespace"],
        parameters=parameters,
        remappings=remappings,
    )
