"""`nav-vlm-sim evaluate`: walks in the simulator, and whether the wearer arrives."""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from nav_vlm_node import results
from nav_vlm_node.command_line import Parser
from nav_vlm_node.errors import UserError

SHOWN = ("success_rate", "spl", "collisions_per_episode", "reversal_rate", "instructions_per_metre")


def add(commands: Any) -> None:
    """Adds the command to `nav-vlm-sim`."""
    parser: Parser = commands.add_parser("evaluate", help="closed-loop walks: does who obeys the instructions arrive?")
    parser.set_defaults(run=_run)
    parser.add_argument("--episodes", type=int, required=True, metavar="N", help="walks of classes A and B")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of plans, walkers and people (0)")
    parser.add_argument("--walker", default="average", metavar="W", help="careful, average or hasty (average)")
    parser.add_argument(
        "--guides", default="", metavar="G,...", help="model,oracle,base,constant,random,shuffled, or some (all)"
    )
    parser.add_argument("--plan", type=Path, action="append", default=[], metavar="F.yaml", help="walk there instead")
    parser.add_argument("--model", default="", metavar="D", help="model directory (the embedded one)")
    parser.add_argument(
        "--adapter", default="default", metavar="D", help="adapter of the model guide (the model's own)"
    )
    parser.add_argument("--device", default="cpu", metavar="DEVICE", help="cpu, cuda, cuda:1 (cpu)")
    parser.add_argument(
        "--latency", type=float, metavar="S", help="the wearer walks on slowly, and hears each answer S seconds late"
    )
    parser.add_argument("--workers", type=int, metavar="W", help="processes (one per core)")
    parser.add_argument(
        "--ray", nargs="?", const="", metavar="ADDRESS",
        help="leave the walks to Ray: on this machine, or on the cluster at that address (auto: the running one)",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="D", help="keep every walk there; the same command goes on")
    parser.add_argument("--page", action="store_true", help="write walks.html there, to leaf through the walks")
    parser.add_argument("--results", type=Path, metavar="F.json", help="write the figures there too, with their origin")
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object")


def _run(args: argparse.Namespace) -> int:
    from nav_vlm_sim.walks.evaluate import FIRST_LEARNED_SEED, Settings, evaluate, tasks_of
    from nav_vlm_sim.walks.guides import GUIDES
    from nav_vlm_sim.walks.page import write_page

    if args.workers is not None and args.workers < 1:
        raise UserError("--workers: give 1 or more")
    if args.page and args.out is None:
        raise UserError("--page: give --out as well, the folder that walks.html is written to")
    settings = Settings(
        episodes=args.episodes, seed=args.seed, manner=args.walker, plans=tuple(str(path) for path in args.plan),
        guides=tuple(args.guides.split(",")) if args.guides else GUIDES, model=args.model, adapter=args.adapter,
        device=args.device, latency=args.latency,
    )  # fmt: skip
    if settings.seed >= FIRST_LEARNED_SEED and not settings.plans and (args.page or args.results is not None):
        raise UserError(
            f"--seed {settings.seed}: plans of seeds from {FIRST_LEARNED_SEED} on are to learn from, and nobody is "
            "measured on them; leave --results and --page out, or give a lower seed"
        )
    facts = results.record(_typed(args), seeds={"plans": settings.seed})
    if args.out is None:
        with tempfile.TemporaryDirectory(prefix="nav-vlm-walks-") as folder:
            figures = evaluate(settings, Path(folder), workers=args.workers, ray=args.ray)
    else:
        tasks = tasks_of(settings)
        figures = evaluate(settings, args.out, tasks=tasks, workers=args.workers, ray=args.ray)
        if args.page:
            write_page(args.out, settings, tasks)
    if args.results is not None:
        results.write(args.results, {**facts, **figures})
    if args.json:
        print(json.dumps(figures))
    else:
        print("\n".join(table(figures["guides"])))
    return 0


def table(guides: dict[str, Any]) -> list[str]:
    """Lines of text, a guide each."""
    lines = ["guide      " + "  ".join(f"{name:>24}" for name in SHOWN)]
    for guide, found in guides.items():
        cells = []
        for name in SHOWN:
            figure = found[name]
            known = figure["value"] is not None
            cells.append(f"{figure['value']:.3f} ({figure['low']:.3f} to {figure['high']:.3f})" if known else "-")
        lines.append(f"{guide:<11}" + "  ".join(f"{cell:>24}" for cell in cells))
    first = next(iter(guides))
    for guide, found in guides.items():
        more = found.get("first_more", {}).get("success_rate")
        if more and more["value"] is not None:
            value, low, high = (100 * more[key] for key in ("value", "low", "high"))
            lines.append(
                f"{first} arrives in {value:+.1f} points ({low:+.1f} to {high:+.1f}) more of the {more['n']} walks "
                f"that {guide} has taken too"
            )
    return lines


def _typed(args: argparse.Namespace) -> str:
    words = ["evaluate", "--episodes", str(args.episodes), "--seed", str(args.seed), "--walker", args.walker]
    for name in ("guides", "model", "adapter", "device"):
        value = getattr(args, name)
        if value and value not in ("default", "cpu"):
            words += [f"--{name}", str(value)]
    if args.latency is not None:
        words += ["--latency", f"{args.latency:g}"]
    for path in args.plan:
        words += ["--plan", str(path)]
    for name in ("out", "results"):
        if getattr(args, name) is not None:
            words += [f"--{name}", str(getattr(args, name))]
    if args.page:
        words.append("--page")
    return results.command_line("nav-vlm-sim", words)
