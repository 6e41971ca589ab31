"""`nav-vlm-sim gazebo`: a floor plan as a Gazebo world, with somebody in it who wears a camera."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from nav_vlm_node.command_line import Parser
from nav_vlm_node.errors import UserError
from nav_vlm_sim.gazebo.simulators import CLASSIC, GZ, SIMULATORS

MOST_SEED = 2**53 - 1


def add(commands: Any) -> None:
    """Adds the command to `nav-vlm-sim`."""
    parser: Parser = commands.add_parser("gazebo", help="a floor plan as a Gazebo world, with a worn camera in it")
    parser.set_defaults(run=_run)
    parser.add_argument("plan", type=Path, nargs="?", metavar="PLAN.yaml", help="a floor plan made by hand")
    parser.add_argument("--seed", type=int, metavar="S", help="draw the plan instead, from this seed")
    parser.add_argument("--kind", default="", metavar="K", help="of a drawn plan: office, ward, station, ... (drawn)")
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
    from nav_vlm_sim.walks.floorplan import read_plan
    from nav_vlm_sim.walks.procedural import plan_of

    if (args.plan is None) == (args.seed is None):
        raise UserError("give the YAML of a floor plan, or --seed S to have one drawn (one of the two)")
    if args.kind and args.seed is None:
        raise UserError("--kind is for plans that are drawn; give --seed S, or leave it out")
    if args.seed is not None and not 0 <= args.seed <= MOST_SEED:
        raise UserError(f"--seed {args.seed}: give a whole number from 0 to {MOST_SEED}")
    plan = read_plan(args.plan) if args.plan is not None else plan_of(args.seed, args.kind)
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
