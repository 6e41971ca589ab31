"""`nav-vlm camera`: a webcam, a video or a folder of images as a camera on ROS 2."""

from __future__ import annotations

import argparse
import math
from typing import Any

from nav_vlm_node.errors import UserError
from nav_vlm_node.ros.bringup import namespace_of
from nav_vlm_node.ros.camera_tables import CAMERA
from nav_vlm_node.ros.rigs import Topics

HELP = "publish a camera, a video or a folder of images as a camera"
_TABLE = {spec.name: spec for spec in CAMERA}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments; their defaults are the node's."""
    parser.add_argument("--source", required=True, metavar="DEVICE|VIDEO|FOLDER", help=_TABLE["source"].description)
    parser.add_argument(
        "--hfov",
        type=float,
        default=0.0,
        metavar="DEG",
        help="field of view across the image; without it camera_info says that it is not known",
    )
    parser.add_argument("--rate", type=float, default=0.0, metavar="HZ", help=_TABLE["rate"].description)
    parser.add_argument("--loop", action="store_true", help=_TABLE["loop"].description)
    parser.add_argument(
        "--topic", default="image", help="of the images; camera_info is beside it (default: %(default)s)"
    )
    parser.add_argument("--compressed", action="store_true", help="publish TOPIC/compressed (jpeg), too")
    parser.add_argument("--no-raw", action="store_true", help="with --compressed: publish only that")
    parser.add_argument("--namespace", default="", help="of the topics")
    parser.add_argument("--frame-id", default=_TABLE["frame_id"].default, help="default: %(default)s")


def parameters(args: argparse.Namespace) -> dict[str, Any]:
    """The node's parameters. Raises UserError for values that cannot be."""
    values = {
        "source": args.source,
        "hfov": math.radians(args.hfov),
        "rate": args.rate,
        "loop": args.loop,
        "raw": not args.no_raw,
        "compressed": args.compressed,
        "frame_id": args.frame_id,
    }
    for name, value in values.items():
        why = _TABLE[name].objection(value)
        if why is not None:
            raise UserError(f"--hfov is {args.hfov:g} degrees: use 1 to 177" if name == "hfov" else f"--{why}")
    return values


def run(args: argparse.Namespace) -> int:
    """Show it until the end of the source or Ctrl-C; returns the exit status, 1 for a camera that was lost."""
    values, topics, namespace = parameters(args), Topics.beside(args.topic), namespace_of(args.namespace)
    try:
        from nav_vlm_node.ros.camera_node import show
    except ModuleNotFoundError as error:
        raise UserError(f"no ROS 2 here ({error}); run make setup, or source a ROS 2 installation") from None
    rules = [word for own, topic in topics.remappings() for word in ("--remap", f"{own}:={topic}")]
    return show(
        [],
        values,
        namespace=namespace,
        cli_args=["--ros-args", *rules] if rules else [],
    )
