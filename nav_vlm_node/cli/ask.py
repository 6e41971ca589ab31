"""`nav-vlm ask`: one answer to one question about one picture. The same pipeline as the node's, without ROS."""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nav_vlm_node.errors import UserError
from nav_vlm_node.frames import Frame, decode_compressed
from nav_vlm_node.guide import Guide, Listener
from nav_vlm_node.instruction import NAN, Instruction, Status
from nav_vlm_node.paths import embedded_model
from nav_vlm_node.ros.parameter_table import BY_NAME, Value
from nav_vlm_node.ros.parameters import defaults, guide_options, objection

HELP = "one answer to one question about one image, without ROS"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments; their defaults are the node's."""
    parser.add_argument("--image", required=True, type=Path, metavar="FILE", help="jpeg or png")
    parser.add_argument("--query", required=True, metavar="TEXT", help='the question, "How do I get to the exit?"')
    parser.add_argument("--model", metavar="DIR", help="model directory (default: the embedded one)")
    parser.add_argument("--adapter", default="default", help="name or directory; '' is the base alone")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 (default: %(default)s)")
    parser.add_argument("--dtype", default="auto", help="auto, float32, bfloat16 (default: %(default)s)")
    rig = parser.add_argument_group("how the camera is worn")
    hfov = math.degrees(float(BY_NAME["camera_hfov"].default))
    rig.add_argument("--hfov", type=float, metavar="DEG", help=f"field of view across the image (default: {hfov:.0f})")
    rig.add_argument("--pitch", type=float, metavar="DEG", help="how far the camera looks down (default: 0)")
    rig.add_argument("--yaw", type=float, metavar="DEG", help="camera from where the wearer faces, left positive")
    rig.add_argument("--rotation", type=int, choices=(0, 90, 180, 270), help="clockwise turn that puts it upright")
    rig.add_argument("--mirrored", action="store_true", help="the image shows left and right swapped")
    style = parser.add_argument_group("the wearer's words")
    style.add_argument("--bearings", choices=BY_NAME["bearings"].choices, help="how directions are said")
    style.add_argument("--distances", choices=BY_NAME["distances"].choices, help="how distances are said")
    style.add_argument("--step-length", type=float, metavar="M", help="length of a step, for --distances steps")
    parser.add_argument("--min-confidence", type=float, metavar="P", help="under this no direction is given")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Answer. Returns 0 for every answer that the wearer could be given, 1 where the engine failed."""
    _check_degrees(args)
    options = guide_options(_checked(_parameters(args)))
    frame = Frame(read_image(args.image))
    from nav_vlm_node.vlm.load import load_engine  # imports torch: only once everything else is in order

    engine = load_engine(args.model or embedded_model(), args.adapter, args.device, args.dtype)
    watch = _Stopwatch()
    try:
        listener = Listener(on_text=watch.on_text)
        instruction = Guide(engine, options).answer(frame, args.query, started=watch.started, listener=listener)
    finally:
        engine.close()
    if instruction.status is Status.INVALID_QUERY:
        raise UserError(instruction.message)
    if args.json:
        print(json.dumps(to_json(instruction, watch.first_token), allow_nan=False))
    else:
        print(instruction.text)
        if instruction.message:
            print(f"{instruction.status.name}: {instruction.message}", file=sys.stderr)
    return 1 if instruction.status is Status.ERROR else 0


def read_image(path: Path) -> Any:
    """uint8 [H, W, 3] RGB, turned as its EXIF tag says. Raises UserError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"image {path}: {error.strerror or error}; give a jpeg or png file") from error
    try:
        return decode_compressed(data, layout=path.suffix.lstrip("."), exif=True)
    except UserError as error:
        raise UserError(f"image {path}: {error}") from error


def to_json(instruction: Instruction, first_token: float = NAN) -> dict[str, Any]:
    """The JSON object that `--json` prints: SI units, null for what is not stated."""
    return {
        "status": instruction.status.name,
        "text": instruction.text,
        "steps": [
            {
                "action": step.action.name,
                "bearing_rad": _number(step.bearing),
                "distance_m": _number(step.distance),
                "landmark": step.landmark,
            }
            for step in instruction.steps
        ],
        "confidence": _number(instruction.confidence),
        "latency_s": _number(instruction.latency),
        "first_token_s": _number(first_token),
        "model": instruction.model,
        "adapter": instruction.adapter,
        "message": instruction.message,
    }


@dataclass
class _Stopwatch:
    """When the first token came."""

    started: float = 0.0
    first_token: float = NAN

    def __post_init__(self) -> None:
        self.started = time.monotonic()

    def on_text(self, text: str) -> None:
        if math.isnan(self.first_token):
            self.first_token = time.monotonic() - self.started


def _parameters(args: argparse.Namespace) -> dict[str, Value]:
    """The node's parameters that the arguments set."""
    given = {
        "camera_hfov": _radians(args.hfov),
        "camera_pitch": _radians(args.pitch),
        "camera_yaw": _radians(args.yaw),
        "image_rotation": args.rotation,
        "mirrored": args.mirrored or None,
        "bearings": args.bearings,
        "distances": args.distances,
        "step_length": args.step_length,
        "min_confidence": args.min_confidence,
    }
    return {name: value for name, value in given.items() if value is not None}


def _check_degrees(args: argparse.Namespace) -> None:
    """What is given in degrees is refused in degrees, by its own name. Raises UserError."""
    for option, degrees in (("hfov", args.hfov), ("pitch", args.pitch), ("yaw", args.yaw)):
        spec = BY_NAME[f"camera_{option}"]
        assert spec.low is not None
        assert spec.high is not None
        if degrees is not None and spec.objection(math.radians(degrees)) is not None:
            low, high = math.ceil(math.degrees(spec.low)), math.floor(math.degrees(spec.high))
            raise UserError(f"--{option} is {degrees:g} degrees: use {low} to {high}")


def _checked(values: dict[str, Value]) -> dict[str, Value]:
    why = objection(values, defaults())
    if why is not None:
        raise UserError(why)
    return values


def _radians(degrees: float | None) -> float | None:
    return None if degrees is None else math.radians(degrees)


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
