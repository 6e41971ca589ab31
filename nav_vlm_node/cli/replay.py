"""`nav-vlm replay`: the questions of a rosbag2 recording answered again, by one model or by two. No ROS needed."""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nav_vlm_node import results
from nav_vlm_node.errors import UserError

if TYPE_CHECKING:
    from nav_vlm_node.replay.run import Chosen

HELP = "a recording's questions answered again, without ROS: report.json, report.html"
_GIVEN = ("rig", "params_file", "image_topic", "namespace", "image_transport")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("bag", type=Path, metavar="BAG", help="rosbag2 folder, .mcap or .db3")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder of the report")
    parser.add_argument(
        "--questions", type=Path, metavar="FILE", help="YAML of times, questions, reference steps (default: the bag's)"
    )
    parser.add_argument("--model", default="", metavar="DIR", help="model directory (default: the embedded one)")
    parser.add_argument("--adapter", default="default", help="name or directory; '' is the base alone")
    parser.add_argument("--against-model", metavar="DIR", help="a second model, side by side (default: --model)")
    parser.add_argument("--against-adapter", metavar="NAME", help="a second adapter; '' is the base alone")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 (default: %(default)s)")
    parser.add_argument("--dtype", default="auto", help="auto, float32, bfloat16 (default: %(default)s)")
    node = parser.add_argument_group("as for bringup.launch.py")
    node.add_argument("--rig", default="", help="the worn camera: a name, or the path of a profile")
    node.add_argument("--params-file", default="", metavar="FILE", help="YAML of the node's parameters")
    node.add_argument("--image-topic", default="", metavar="TOPIC", help="where the bag has several")
    node.add_argument("--namespace", default="", help="of the node's topics")
    node.add_argument("--image-transport", default="", choices=("raw", "compressed"), help="where the bag has both")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Returns 0 where the bag was replayed, whatever the answers are."""
    for module in ("rosbags", "cv2", "tqdm"):
        if importlib.util.find_spec(module) is None:
            raise UserError(f"{module} is not installed; run make setup, or pip install 'nav_vlm[bag,opencv]'")
    from nav_vlm_node.replay.run import Chosen, Replay, replay

    report = replay(
        Replay(
            bag=args.bag,
            out=args.out,
            chosen=Chosen(args.model, args.adapter),
            against=_against(args),
            questions=args.questions,
            given={name: value for name in _GIVEN if (value := getattr(args, name))},
            device=args.device,
            dtype=args.dtype,
            command=results.command_line("nav-vlm", args.argv),
        )
    )
    for note in report["notes"]:
        print(f"nav-vlm: {note}", file=sys.stderr)
    if args.json:
        print(json.dumps({name: value for name, value in report.items() if name != "answers"}, allow_nan=False))
    else:
        print(_summary(report, args.out))
    return 0


def _against(args: argparse.Namespace) -> Chosen | None:
    if args.against_model is None and args.against_adapter is None:
        return None
    from nav_vlm_node.replay.run import Chosen

    adapter = args.against_adapter if args.against_adapter is not None else "default"
    against = Chosen(args.model if args.against_model is None else args.against_model, adapter)
    if against == Chosen(args.model, args.adapter):
        raise UserError("both sides are the same model and adapter; give --against-adapter another one")
    return against


def _summary(report: dict[str, Any], out: Path) -> str:
    counts = ", ".join(f"{name} {count}" for name, count in report["status"].items())
    lines = [f"{report['queries']} questions, {report['answered']} answered ({counts})"]
    if "live" in report:
        live = report["live"]
        lines.append(f"as in the bag: {_share(live['equal_steps'])} equal steps, {_share(live['equal_answer'])} equal")
    if "against" in report:
        agreement = report["against"]["agreement"]
        lines.append(f"{report['model']} and {report['against_model']}: {_share(agreement['equal_steps'])} equal steps")
    return "\n".join([*lines, f"wrote {out}/report.html"])


def _share(figure: dict[str, Any]) -> str:
    return f"{round(figure['value'] * figure['n'])} of {figure['n']}"
