#!/usr/bin/env python3
"""The node with a real model, as a robot runs it: does it answer as `nav-vlm ask` does, and what if its engine dies?

    .venv/bin/python tools/measure_node.py [--out docs/results/node.json]

Agreement: pictures of the simulated camera, each asked about by `nav-vlm ask` (a file), by topic and by action; status,
words, steps and confidence must be equal. Deaths: the engine process gets SIGKILL at the first words of an answer; that
question must end in ERROR with a spoken reason, and the next one must be answered.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import math
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from nav_vlm_node import results
from nav_vlm_node.cli import main as nav_vlm
from nav_vlm_node.cli.ask import to_json
from nav_vlm_node.instruction import Status
from nav_vlm_node.paths import embedded_model
from nav_vlm_node.vlm.card import read_model_card
from nav_vlm_sim import textures
from nav_vlm_sim.camera import SimulatedCamera
from nav_vlm_sim.demo.cases import Case, choose
from nav_vlm_sim.demo.run import HEIGHT, HFOV, RIG, WIDTH
from nav_vlm_sim.ros.demo import System

EQUAL = ("status", "text", "confidence", "model", "adapter", "message")  # and the steps


def main() -> int:
    """Measure, print the JSON object, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=embedded_model(), help="model directory (the embedded one)")
    parser.add_argument("--pictures", type=int, default=50, help="(default: %(default)s)")
    parser.add_argument("--deaths", type=int, default=10, help="(default: %(default)s)")
    parser.add_argument("--seed", type=int, default=11, help="of scenes and questions (default: %(default)s)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="JSON file to write")
    args = parser.parse_args()
    view = read_model_card(args.model).view
    with SimulatedCamera(WIDTH, HEIGHT, HFOV, rig=RIG, view=view) as camera:
        cases = choose(camera, args.seed, args.pictures)
    worn = {"camera_pitch": RIG.camera_pitch, "camera_height": RIG.camera_height}
    shown = {**worn, "seed": cases[0].frame.scene.seed, "view": 0, "width": WIDTH, "height": HEIGHT, "hfov": HFOV}
    report = results.record(results.command_line("tools/measure_node.py", sys.argv[1:]), seeds={"scenes": args.seed})
    with System(shown, {**worn, "model": str(args.model.resolve()), "diagnostics_period": 0.1}) as system:
        system.wait_ready()
        report["agreement"] = agreement(system, cases, args.model)
        report["deaths"] = deaths(system, cases, args.deaths)
    print(json.dumps(report, indent=1))
    if args.out is not None:
        results.write(args.out, report)
    alike = report["agreement"]["equal"] == len(cases)
    survived = report["deaths"]["error"] == report["deaths"]["next_answered"] == args.deaths
    return 0 if alike and survived else 1


def agreement(system: System, cases: list[Case], model: Path) -> dict[str, Any]:
    """The same question about the same picture, three ways."""
    differing, statuses = [], Counter[str]()
    for case in cases:
        by_file = asked(case, model)
        system.show(case.frame.scene.seed, case.frame.index)
        for by in ("topic", "action"):
            reply = system.ask(case.question.text, by)
            found = comparable(to_json(reply.instruction)) if reply.instruction else {}
            if found != by_file:
                differing.append({"by": by, "query": case.question.text, "ask": by_file, "node": found})
        statuses[by_file["status"]] += 1
    unequal = len({one["query"] for one in differing})
    return {"pictures": len(cases), "equal": len(cases) - unequal, "status": statuses, "differing": differing[:5]}


def asked(case: Case, model: Path) -> dict[str, Any]:
    """What `nav-vlm ask` prints."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()) as printed:
        picture = Path(folder) / "picture.png"
        picture.write_bytes(textures.png(case.frame.raw))
        worn = ["--hfov", repr(math.degrees(HFOV)), "--pitch", repr(math.degrees(RIG.camera_pitch))]
        words = ["--image", str(picture), "--query", case.question.text, "--model", str(model), *worn, "--json"]
        if nav_vlm(["ask", *words]) != 0:
            raise SystemExit(f"measure_node: error: nav-vlm ask failed for {case.question.text!r}")
    return comparable(json.loads(printed.getvalue()))


def comparable(answer: dict[str, Any]) -> dict[str, Any]:
    """What must agree: not the times; numbers as a message carries them, in float32."""

    def carried(value: Any) -> Any:
        return float(np.float32(value)) if isinstance(value, float) else value

    steps = [{name: carried(value) for name, value in step.items()} for step in answer["steps"]]
    return {name: carried(answer[name]) for name in EQUAL} | {"steps": steps}


def deaths(system: System, cases: list[Case], count: int) -> dict[str, Any]:
    """Kill the engine in the middle of `count` answers."""
    ends: Counter[str] = Counter()
    ended, back, texts = [], [], set()
    answered = 0
    for number in range(count):
        case = cases[number % len(cases)]
        system.show(case.frame.scene.seed, case.frame.index)
        killed = math.nan

        def kill(text: str) -> None:
            nonlocal killed
            if math.isnan(killed):
                os.kill(system.engine_pid(), signal.SIGKILL)
                killed = time.monotonic()

        reply = system.ask(case.question.text, "action", kill)
        ended.append(time.monotonic() - killed)
        if reply.instruction is not None:
            ends[reply.instruction.status.name] += 1
            texts.add(reply.instruction.text)
        after = system.ask(case.question.text, "action").instruction
        back.append(time.monotonic() - killed)
        answered += after is not None and after.status in (Status.OK, Status.UNSURE, Status.NOT_VISIBLE)
    return {
        "killed": count, "error": ends["ERROR"], "statuses": ends, "spoken": sorted(texts),
        "kill_to_answer_s": spread(ended), "kill_to_next_answer_s": spread(back), "next_answered": answered,
    }  # fmt: skip


def spread(seconds: list[float]) -> dict[str, float]:
    """p50 and max, and of how many."""
    return {"p50": round(float(np.median(seconds)), 3), "max": round(max(seconds), 3), "n": len(seconds)}


if __name__ == "__main__":
    sys.exit(main())
