"""`nav-vlm-sim plan`: a floor plan from above, and whether its walks can be walked."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nav_vlm_node.command_line import Parser
from nav_vlm_node.errors import UserError

if TYPE_CHECKING:
    from nav_vlm_sim.walks.floorplan import FloorPlan


def add(commands: Any) -> None:
    """Adds the command to `nav-vlm-sim`."""
    parser: Parser = commands.add_parser("plan", help="a floor plan from above, with its walks")
    parser.set_defaults(run=_run)
    add_choice(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="F.svg", help="write the drawing there")
    parser.add_argument("--json", action="store_true", help="print the plan and its walks as one JSON object")


def add_choice(parser: Parser, *, kinds: bool = True) -> None:
    """Adds the arguments that `chosen` reads."""
    parser.add_argument("plan", type=Path, nargs="?", metavar="PLAN.yaml", help="a floor plan made by hand")
    parser.add_argument("--seed", type=int, metavar="S", help="draw the plan instead, from this seed")
    if kinds:
        parser.add_argument(
            "--kind", default="", metavar="K", help="of a drawn plan: office, ward, station, ... (drawn)"
        )
    else:
        parser.set_defaults(kind="")


def chosen(args: argparse.Namespace) -> FloorPlan:
    """The plan that the arguments name. Raises UserError."""
    from nav_vlm_sim.walks.floorplan import MOST_SEED, read_plan
    from nav_vlm_sim.walks.procedural import plan_of

    if (args.plan is None) == (args.seed is None):
        raise UserError("give the YAML of a floor plan, or --seed S to have one drawn (one of the two)")
    if args.kind and args.seed is None:
        raise UserError("--kind is for plans that are drawn; give --seed S, or leave it out")
    if args.seed is not None and not 0 <= args.seed <= MOST_SEED:
        raise UserError(f"--seed {args.seed}: give a whole number from 0 to {MOST_SEED}")
    return read_plan(args.plan) if args.plan is not None else plan_of(args.seed, args.kind)


def _run(args: argparse.Namespace) -> int:
    from nav_vlm_sim.walks.drawing import plan_svg, ways
    from nav_vlm_sim.walks.episode import Stage
    from nav_vlm_sim.walks.floorplan import plan_to_json
    from nav_vlm_sim.walks.space import length_of

    if args.out.suffix.lower() != ".svg":
        raise UserError(f"--out {args.out}: give a name that ends with .svg")
    plan = chosen(args)
    stage = Stage(plan)
    found = ways(stage)
    write_text(args.out, plan_svg(stage, found))
    if args.json:
        metres = [round(length_of(way.path), 2) if way.path else None for way in found]
        print(json.dumps({"plan": plan_to_json(plan), "shortest_m": metres}))
    else:
        print(f"{args.out}: {plan.name}, {len(plan.rooms)} rooms, {len(found)} walks")
        print("\n".join(way.told(number) for number, way in enumerate(found)))
    return 0


def write_text(path: Path, text: str) -> None:
    """Writes a file whole or not at all. Raises UserError."""
    draft = path.with_name(path.name + ".part")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}; give another --out") from None
    finally:
        draft.unlink(missing_ok=True)
