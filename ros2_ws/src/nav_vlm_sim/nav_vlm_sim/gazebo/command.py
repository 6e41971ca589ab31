"""`nav-vlm-sim gazebo`: a floor plan as a Gazebo world, with somebody in it who wears a camera."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from nav_vlm_node.command_line import Parser
from nav_vlm_sim.gazebo.simulators import CLASSIC, GZ, SIMULATORS
from nav_vlm_sim.walks import plan_command


def add(commands: Any) -> None:
    """Adds the command to `nav-vlm-sim`."""
    parser: Parser = commands.add_parser("gazebo", help="a floor plan as a Gazebo world, with a worn camera in it")
    parser.set_defaults(run=_run)
    plan_command.add_choice(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="D", help="a new folder for the world")
    parser.add_argument(
        "--simulator", choices=sorted(SIMULATORS), default=GZ.name,
        help=f"{GZ.name}: Gazebo from Harmonic on; {CLASSIC.name}: Gazebo Classic 11 ({GZ.name})",
    )  # fmt: skip
    parser.add_argument("--walk", type=int, default=0, metavar="K", help="of the plan: where the wearer stands (0)")
    parser.add_argument(
        "--silhouettes", action="store_true", help="everything in one flat colour per thing, to tell things apart"
    )
    parser.add_argument("--json", action="store_true", help="print what was written as one JSON object")


def _run(args: argparse.Namespace) -> int:
    from nav_vlm_sim.gazebo.export import BRIDGE, WORLD, export

    plan = plan_command.chosen(args)
    simulator = SIMULATORS[args.simulator]
    export(plan, args.out, simulator, walk=args.walk, silhouettes=args.silhouettes)
    world = args.out / WORLD
    start = f"gz sim -r {world}" if simulator is GZ else f"cd {args.out} && gazebo {WORLD}"
    if args.json:
        bridge = str(args.out / BRIDGE) if simulator is GZ else None
        print(json.dumps({"plan": plan.name, "world": str(world), "bridge": bridge, "start": start}))
    else:
        print(f"{world}: {plan.name}, {len(plan.rooms)} rooms; start it: {start}")
    return 0
