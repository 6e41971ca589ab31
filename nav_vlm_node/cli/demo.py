"""`nav-vlm demo`: the whole system in simulation. It is `nav_vlm_sim.demo`, which need not be installed."""

from __future__ import annotations

import argparse
import importlib.util
import shlex
import sys
from pathlib import Path

from nav_vlm_node.errors import UserError
from nav_vlm_node.paths import embedded_model
from nav_vlm_node.vlm.card import read_model_card

HELP = "the whole system in simulation: camera, node, streamed instructions, the truth"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--model", type=Path, metavar="DIR", help="model directory (default: the embedded one)")
    parser.add_argument("--adapter", default="default", help="name or directory; '' is the base alone")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 (default: %(default)s)")
    parser.add_argument("--questions", type=int, default=10, metavar="N", help="how many (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="other scenes (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("demo"), metavar="DIR", help="pictures and report.html (demo)")
    parser.add_argument("--domain", type=int, metavar="ID", help="ROS_DOMAIN_ID to run on (default: one nobody uses)")
    parser.add_argument("--json", action="store_true", help="print one JSON object, the conversation on stderr")


def run(args: argparse.Namespace) -> int:
    """Returns 0 when every question was answered, 1 when the system failed to."""
    if args.domain is not None and not 0 <= args.domain <= 232:
        raise UserError(f"--domain {args.domain}: give 0 to 232")
    for module, what in (("rclpy", "ROS 2"), ("nav_vlm_sim", "the simulator, nav_vlm_sim,")):
        if importlib.util.find_spec(module) is None:
            raise UserError(f"{what} is not installed; run make setup, or install it into this environment")
    model = args.model or embedded_model()
    if args.model is None and not model.is_dir():
        raise UserError(f"the embedded model is not at {model}; check out the whole repository, or give --model DIR")
    adapters = read_model_card(model).adapters
    if args.adapter not in ("", "default", *adapters) and not Path(args.adapter).is_dir():
        names = ", ".join(adapters) or "none"
        raise UserError(f"no adapter {args.adapter!r}: the model has {names}; give one of them or an adapter directory")

    from nav_vlm_sim.demo.run import Options  # draws and talks to ROS: only once everything else is in order
    from nav_vlm_sim.demo.run import run as run_demo

    return run_demo(
        Options(
            model=model,
            adapter=args.adapter,
            device=args.device,
            questions=args.questions,
            seed=args.seed,
            out=args.out,
            as_json=args.json,
            domain=args.domain,
            command=shlex.join(["nav-vlm", *sys.argv[1:]]),
        )
    )
