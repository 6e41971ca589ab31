"""The table of the node's parameters: name, default, range, description; no ROS here, and nothing else."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

from nav_vlm_node.frames import QualityLimits
from nav_vlm_node.guide import GuideOptions
from nav_vlm_node.language import Style
from nav_vlm_node.replies import TRANSLATIONS
from nav_vlm_node.view import Rig

Value: TypeAlias = "bool | int | float | str"


@dataclass(frozen=True, kw_only=True)
class Spec:
    """One parameter. `low` and `high` are inclusive; `choices` are the only values where there are any."""

    name: str
    default: Value
    description: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[Value, ...] = ()
    read_only: bool = False

    @property
    def type_name(self) -> str:
        """As ROS calls it."""
        return {bool: "bool", int: "integer", float: "double", str: "string"}[type(self.default)]

    @property
    def allowed(self) -> str:
        """The values it may have, for people; "" where there is no limit."""
        if self.choices:
            return ", ".join(str(choice) for choice in self.choices)
        if self.low is not None and self.high is not None:
            return f"{self.low:g} to {self.high:g}"
        return ""

    def objection(self, value: object) -> str | None:
        """Why `value` cannot be this parameter's, naming what can; None if it can."""
        if type(value) is not type(self.default):
            return f"{self.name} must be of type {self.type_name}, not {type(value).__name__} ({value!r})"
        if self.choices and value not in self.choices:
            return f"{self.name} is {value!r}: use one of {self.allowed}"
        if isinstance(value, (int, float)) and not self._low <= value <= self._high:  # also for NaN
            return f"{self.name} is {value}: use {self.allowed}"
        return None

    @property
    def _low(self) -> float:
        return -math.inf if self.low is None else self.low

    @property
    def _high(self) -> float:
        return math.inf if self.high is None else self.high


_RAD80 = 1.396
_QUALITY, _OPTIONS, _RIG, _STYLE = QualityLimits(), GuideOptions(), Rig(), Style()

PARAMETERS: tuple[Spec, ...] = (
    # model
    Spec(
        name="model",
        default="",
        read_only=True,
        description="model directory in save_pretrained layout; empty: the embedded default",
    ),
    Spec(
        name="adapter",
        default="default",
        read_only=True,
        description="LoRA adapter to start with: a name in the model directory, a path, "
        "default (what the model names); empty: the base alone",
    ),
    Spec(
        name="device",
        default="auto",
        read_only=True,
        description="where the model runs: auto, cpu, cuda, or cuda:1 and so on",
    ),
    Spec(
        name="dtype",
        default="auto",
        choices=("auto", "float32", "bfloat16", "float16"),
        read_only=True,
        description="number format of the model",
    ),
    Spec(
        name="engine_process",
        default=True,
        read_only=True,
        description="run the model in a supervised child process, so that "
        "a crash or a hang of the model cannot take the node with it",
    ),
    Spec(
        name="engine_python",
        default="",
        read_only=True,
        description="the Python of that process, one that has torch, transformers and peft; empty for the node's own",
    ),
    Spec(
        name="autostart",
        default=True,
        read_only=True,
        description="configure and activate at start, without a lifecycle manager",
    ),
    # image
    Spec(
        name="image_transport",
        default="raw",
        choices=("raw", "compressed"),
        read_only=True,
        description="raw: subscribe image; compressed: subscribe image/compressed",
    ),
    Spec(
        name="max_image_age",
        default=_OPTIONS.max_image_age,
        unit="s",
        low=0.01,
        high=60.0,
        description="an image older than this is not looked at (STALE_IMAGE)",
    ),
    Spec(
        name="image_timeout",
        default=1.0,
        unit="s",
        low=0.0,
        high=60.0,
        description="how long a question waits for a fresh image before it is answered NO_IMAGE or STALE_IMAGE",
    ),
    Spec(
        name="darkness",
        default=_QUALITY.darkness,
        low=0.0,
        high=255.0,
        description="luminance under which 99 % of an image must lie for it to be refused as dark; 0: never",
    ),
    Spec(
        name="brightness",
        default=_QUALITY.brightness,
        low=0.0,
        high=255.0,
        description="luminance over which 99 % of an image must lie for it to be refused as bright; 0: never",
    ),
    Spec(
        name="contrast",
        default=_QUALITY.contrast,
        low=0.0,
        high=128.0,
        description="standard deviation of luminance under which an image counts as covered; 0: never",
    ),
    Spec(
        name="sharpness",
        default=_QUALITY.sharpness,
        low=0.0,
        high=4.0,
        description="steepest edge over contrast under which an image counts as blurred; 0: never",
    ),
    # rig
    Spec(
        name="camera_hfov",
        default=round(_OPTIONS.hfov, 3),
        unit="rad",
        low=0.1,
        high=3.1,
        description="field of view across the image as delivered, used while no camera_info arrives",
    ),
    Spec(
        name="camera_yaw",
        default=_RIG.camera_yaw,
        unit="rad",
        low=-3.15,
        high=3.15,
        description="direction of the camera from where the wearer faces, left positive",
    ),
    Spec(
        name="camera_pitch",
        default=_RIG.camera_pitch,
        unit="rad",
        low=-_RAD80,
        high=_RAD80,
        description="how far the camera looks down",
    ),
    Spec(
        name="camera_height",
        default=_RIG.camera_height,
        unit="m",
        low=0.1,
        high=3.0,
        description="height of the camera above the floor",
    ),
    Spec(
        name="image_rotation",
        default=_RIG.image_rotation,
        unit="deg",
        choices=(0, 90, 180, 270),
        description="clockwise turn that puts the image upright",
    ),
    Spec(name="mirrored", default=_RIG.mirrored, description="the image shows left and right swapped"),
    # answer
    Spec(
        name="busy_policy",
        default="preempt",
        choices=("reject", "preempt"),
        description="a question while another is being answered: reject it (BUSY), or preempt the older one (CANCELED)",
    ),
    Spec(
        name="max_answer_age",
        default=_OPTIONS.max_answer_age,
        unit="s",
        low=0.05,
        high=60.0,
        description="an answer about an image older than this is withheld (STALE_IMAGE)",
    ),
    Spec(
        name="deadline",
        default=0.0,
        unit="s",
        low=0.0,
        high=600.0,
        description="every question has an Instruction by then; 0: 5 s on a GPU, 15 s on a CPU",
    ),
    Spec(
        name="max_query_length",
        default=_OPTIONS.max_query_length,
        low=1,
        high=10000,
        description="characters of a question",
    ),
    Spec(
        name="max_new_tokens",
        default=_OPTIONS.max_new_tokens,
        low=1,
        high=512,
        description="longest answer of the model",
    ),
    Spec(
        name="min_confidence",
        default=_OPTIONS.limits.min_confidence,
        low=0.0,
        high=1.0,
        description="under this confidence no direction is given (UNSURE)",
    ),
    Spec(
        name="remember_way",
        default=True,
        description="with odometry on odom: what was seen on the way to a goal leads on where a picture does not",
    ),
    # the wearer's words
    Spec(
        name="bearings",
        default=_STYLE.bearings,
        choices=("degrees", "clock", "left_right"),
        description="how directions are said",
    ),
    Spec(
        name="distances",
        default=_STYLE.distances,
        choices=("metres", "steps", "feet"),
        description="how distances are said",
    ),
    Spec(
        name="step_length",
        default=_STYLE.step_length,
        unit="m",
        low=0.2,
        high=1.5,
        description="length of the wearer's step, for distances: steps",
    ),
    Spec(
        name="language", default=_STYLE.language, choices=tuple(TRANSLATIONS), description="language of what is spoken"
    ),
    # housekeeping
    Spec(
        name="diagnostics_period",
        default=1.0,
        unit="s",
        low=0.1,
        high=60.0,
        read_only=True,
        description="time between /diagnostics",
    ),
)
BY_NAME: dict[str, Spec] = {spec.name: spec for spec in PARAMETERS}
