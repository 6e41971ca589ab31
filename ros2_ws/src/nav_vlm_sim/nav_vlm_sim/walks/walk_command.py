"""`nav-vlm-sim walk`: one walk over ROS 2, with the guide, the rig and the walker as nodes."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from nav_vlm_node.command_line import Parser
from nav_vlm_node.errors import UserError
from nav_vlm_sim.walks.plan_command import add_choice, chosen, write_text


def add(commands: Any) -> None:
    """Adds the command to `nav-vlm-sim`."""
    parser: Parser = commands.add_parser("walk", help="one walk over ROS 2: rig, guide and walker as nodes")
    parser.set_defaults(run=_run)
    add_choice(parser, kinds=False)
    parser.add_argument("--walk", type=int, default=0, metavar="K", help="which of the plan's walks (0)")
    parser.add_argument("--walker", default="average", metavar="W", help="careful, average or hasty (average)")
    parser.add_argument("--walker-seed", type=int, metavar="N", help="of walker, camera and odometry (the plan's)")
    parser.add_argument(
        "--free", action="store_true", help="let time go on while the guide thinks: the wearer walks on slowly"
    )
    parser.add_argument("--speed", type=float, default=1.0, metavar="X", help="with --free: times real time (1)")
    parser.add_argument(
        "--delay", type=float, default=0.0, metavar="S", help="with --free: hold answers back so long [s] (0)"
    )
    parser.add_argument("--model", default="", metavar="D", help="model directory (the embedded one)")
    parser.add_argument("--adapter", default="default", metavar="D", help="adapter (the model's own)")
    parser.add_argument("--device", default="auto", metavar="DEVICE", help="auto, cpu, cuda, cuda:1 (auto)")
    parser.add_argument("--domain", type=int, metavar="ID", help="ROS 2 domain, to watch from others (a free one)")
    parser.add_argument("--out", type=Path, metavar="F.json", help="write the walk there")
    parser.add_argument("--json", action="store_true", help="print its figures as one JSON object")


def _run(args: argparse.Namespace) -> int:
    from nav_vlm_sim.walks import records
    from nav_vlm_sim.walks.metrics import summarise

    episode = _walk(args)
    if args.out is not None:
        write_text(args.out, json.dumps(records.to_json(episode)))
    if args.json:
        print(json.dumps({"arrived": episode.arrived, **summarise([episode])}))
        return 0
    for turn in episode.turns:
        print(f"{turn.time:6.1f} s  {turn.status:<12} {turn.text}")
    end = "arrived" if episode.arrived else "did not arrive"
    print(f"{end} after {episode.time:.0f} s and {episode.length:.1f} m; the shortest way has {episode.shortest:.1f} m")
    return 0


def _walk(args: argparse.Namespace) -> Any:
    try:
        from nav_vlm_sim.ros.own_processes import SystemFailure
        from nav_vlm_sim.ros.walk import WalkSettings, walk
    except ModuleNotFoundError as error:
        raise UserError(f"no ROS 2 here ({error}); run make setup, or source a ROS 2 installation") from None
    if not args.free and (args.speed != 1.0 or args.delay != 0.0):
        raise UserError("--speed and --delay are for time that goes on; give --free too")
    plan = chosen(args)
    if not 0 <= args.walk < len(plan.walks):
        raise UserError(f"--walk {args.walk}: {plan.name} has walks 0 to {len(plan.walks) - 1}")
    seed = args.walker_seed if args.walker_seed is not None else args.seed or 0
    settings = WalkSettings(
        plan=str(args.plan.absolute() if args.plan is not None else args.seed), walk=args.walk, seed=seed,
        walker=args.walker, lockstep=not args.free, speed=args.speed, delay=args.delay, model=args.model,
        adapter=args.adapter, device=args.device, domain=args.domain,
    )  # fmt: skip
    try:
        return walk(settings, lambda text: print(text, file=sys.stderr))
    except SystemFailure as failure:
        raise UserError(f"the walk failed: {failure}") from None
