#!/usr/bin/env python3
"""Whether a walk over ROS 2 is the walk of one process, and what a late answer costs.

    .venv/bin/python tools/measure_walks.py lockstep [--walks 20] [--seed 1] [--out docs/results/walk_ros.json]
    .venv/bin/python tools/measure_walks.py latency [--episodes 40] [--seed 1] [--workers 2] --work DIR
        [--out docs/results/walk_latency.json] [--plot docs/images/walk_latency.png]

lockstep: the first walks of `nav-vlm-sim evaluate --seed`, each by `nav-vlm-sim walk` (rig, guide and walker as
processes) and in this process, compared question by question; then one with time that goes on, for the latency that
this machine has. latency: evaluations whose answers come so many seconds late while the wearer walks on slowly; goes on
where it stopped with the same --work.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

from nav_vlm_node import results
from nav_vlm_sim.ros.walk import WalkSettings, walk
from nav_vlm_sim.walks.episode import Episode
from nav_vlm_sim.walks.evaluate import Settings, Task, evaluate, places
from nav_vlm_sim.walks.working import walk_one

LATENCIES = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)  # seconds
SHOWN = ("success_rate", "spl", "reversal_rate", "collisions_per_episode", "contacts_per_episode", "length_m", "time_s")


def main() -> int:
    """Measure, print the JSON object, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    lockstep = commands.add_parser("lockstep")
    lockstep.add_argument("--walks", type=int, default=20, help="(default: %(default)s)")
    lockstep.set_defaults(measure=measure_lockstep)
    latency = commands.add_parser("latency")
    latency.add_argument("--episodes", type=int, default=40, help="of each latency (default: %(default)s)")
    latency.add_argument("--workers", type=int, default=2, help="processes (default: %(default)s)")
    latency.add_argument("--work", type=Path, required=True, metavar="DIR", help="keep the walks there")
    latency.add_argument("--plot", type=Path, metavar="F.png", help="draw it there")
    latency.set_defaults(measure=measure_latency)
    for command in (lockstep, latency):
        command.add_argument("--seed", type=int, default=1, help="of plans and walkers (default: %(default)s)")
        command.add_argument("--out", type=Path, metavar="FILE", help="JSON file to write")
    args = parser.parse_args()
    report = results.record(results.command_line("tools/measure_walks.py", sys.argv[1:]), seeds={"plans": args.seed})
    report.update(args.measure(args))
    print(json.dumps(report, indent=1))
    if args.out:
        results.write(args.out, report)
    return 0


def measure_lockstep(args: argparse.Namespace) -> dict[str, Any]:
    """Each walk both ways."""
    settings = Settings(episodes=args.walks, seed=args.seed, guides=("model",))
    chosen = [place for place in places(settings) if _kind(place) in "AB"][: args.walks]
    rows = []
    for plan, number, seed in tqdm(chosen, unit="walk"):
        there = walk(WalkSettings(plan=str(plan), walk=number, seed=seed, device="cpu"))
        here = walk_one(settings, Task("model", plan, number, seed))
        asked = {"plan": plan, "walk": number, "goal": here.walk.goal, "class": here.walk.kind}
        rows.append({**asked, **both(there, here)})
    shortest = min(chosen, key=lambda place: _shortest(settings, place))
    free = walk(WalkSettings(plan=str(shortest[0]), walk=shortest[1], seed=shortest[2], device="cpu", lockstep=False))
    return {
        "walks": rows,
        "same_outcome": sum(row["same_outcome"] for row in rows),
        "same_words": sum(row["same_words"] for row in rows),
        "largest_gap_m": max(row["largest_gap_m"] for row in rows),
        "free_running": {
            "plan": shortest[0], "walk": shortest[1], "arrived": free.arrived, "questions": len(free.turns),
            "first_answer_after_s": free.turns[0].time + free.turns[0].late,
            "length_m": free.length, "shortest_m": free.shortest,
        },
    }  # fmt: skip


def _kind(place: tuple[int | str, int, int]) -> str:
    from nav_vlm_sim.walks.procedural import plan_of

    return plan_of(int(place[0])).walks[place[1]].kind


def _shortest(settings: Settings, place: tuple[int | str, int, int]) -> float:
    return walk_one(settings, Task("oracle", *place)).shortest


def both(there: Episode, here: Episode) -> dict[str, Any]:
    """How far two walks are the same. same_outcome: arrived, number of questions, and all that was touched."""
    pairs = list(zip(there.turns, here.turns, strict=False))
    ends = [(e.arrived, len(e.turns), e.touches) for e in (there, here)]
    return {
        "arrived": here.arrived,
        "questions": len(here.turns),
        "same_outcome": ends[0] == ends[1],
        "same_words": [t.text for t in there.turns] == [t.text for t in here.turns],
        "largest_gap_m": max((math.dist((a.x, a.y), (b.x, b.y)) for a, b in pairs), default=0.0),
    }


def measure_latency(args: argparse.Namespace) -> dict[str, Any]:
    """The model and the oracle, each answer so many seconds late."""
    rows = []
    for latency in LATENCIES:
        settings = Settings(
            episodes=args.episodes, seed=args.seed, guides=("model", "oracle"), latency=latency
        )  # fmt: skip
        found = evaluate(settings, args.work / f"{latency:g}", workers=args.workers)["guides"]
        rows.append({"latency_s": latency, **{g: {n: found[g][n] for n in SHOWN} for g in found}})
    if args.plot:
        draw(rows, args.plot)
    return {"episodes": args.episodes, "walker": "average", "latencies": rows}


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Success, and the way walked, over the latency."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 3, figsize=(10, 3.2), layout="constrained")
    labels = {"success_rate": "walks that arrive", "spl": "SPL", "length_m": "metres walked"}
    for axis, (name, label) in zip(axes, labels.items(), strict=True):
        for guide, colour in (("oracle", "#777777"), ("model", "#0b62a4")):
            values = [row[guide][name] for row in rows]
            x = [row["latency_s"] for row in rows]
            axis.plot(x, [v["value"] for v in values], "o-", color=colour, label=guide)
            axis.fill_between(x, [v["low"] for v in values], [v["high"] for v in values], color=colour, alpha=0.15)
        axis.set_xlabel("seconds until the answer is heard")
        axis.set_ylabel(label)
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
    axes[0].legend(loc="lower left")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    raise SystemExit(main())
