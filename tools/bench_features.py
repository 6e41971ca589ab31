#!/usr/bin/env python3
"""How much quicker training is where what the frozen vision model sees is kept on disk, beside seeing it anew.

    nav-vlm-sim dataset --scenes 80 --seed 31 --split-shares train=0.7,val=0.15,test=0.15 --out data
    python3 tools/bench_features.py --data data --out docs/results/feature_cache.json

The same run with and without the cache, in turns, on a machine that does nothing else; a first run fills the cache and
does not count. The losses must be the same to the last digit, or nothing is written.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nav_vlm_node import results
from nav_vlm_node.errors import UserError
from nav_vlm_training.fit.config import FitConfig
from nav_vlm_training.fit.loop import fit
from nav_vlm_training.fit.setup import FitPlan

WAYS = ("cached", "recomputed")


def once(data: Path, run: Path, cache: Path | None, epochs: int) -> tuple[list[float], list[float]]:
    """One run; its losses and its samples per second, as they were written down every few updates."""
    config = FitConfig(epochs=epochs, val_questions=8, evaluate_every=epochs)
    fit(FitPlan(data=data, run=run, config=config, cached=cache is not None, cache=cache, device="cpu", quiet=True))
    lines = map(json.loads, (run / "run.jsonl").read_text(encoding="utf-8").splitlines())
    updates = [line for line in lines if line["event"] == "update"]
    return [line["loss"] for line in updates], [line["samples_per_s"] for line in updates]


def measure(data: Path, folder: Path, rounds: int, epochs: int) -> dict[str, Any]:
    """Figures of all rounds. Raises UserError where the losses differ."""
    cache = folder / "cache"
    wanted, _ = once(data, folder / "first", cache, epochs)
    rates: dict[str, list[float]] = {way: [] for way in WAYS}
    for number in range(rounds):
        for way in WAYS:
            losses, found = once(data, folder / f"{way}-{number}", cache if way == "cached" else None, epochs)
            if losses != wanted:
                raise UserError(f"the losses of {way} run {number} are others: this is no comparison")
            rates[way].append(statistics.median(found))
            print(f"{way} run {number}: {rates[way][-1]:.1f} samples/s", file=sys.stderr, flush=True)
    ratios = [a / b for a, b in zip(*rates.values(), strict=True)]
    return {
        "ratio": {"p50": statistics.median(ratios), "min": min(ratios), "max": max(ratios), "n": rounds},
        "samples_per_s": {way: statistics.median(found) for way, found in rates.items()},
        "losses_equal": len(wanted),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and write; returns the exit status."""
    words = sys.argv[1:] if argv is None else list(argv)
    parser = argparse.ArgumentParser(description="training with and without the cache of visual features")
    parser.add_argument(
        "--data", type=Path, required=True, metavar="D", help="a data set with the splits train and val"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="F.json", help="where the figures go")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="runs of each sort (3)")
    parser.add_argument("--epochs", type=int, default=2, metavar="N", help="passes over the data in each (2)")
    args = parser.parse_args(words)
    try:
        with tempfile.TemporaryDirectory() as folder:
            figures = measure(args.data, Path(folder), args.rounds, args.epochs)
    except UserError as error:
        print(f"bench_features: error: {error}", file=sys.stderr)
        return 2
    command = results.command_line("tools/bench_features.py", words)
    results.write(args.out, {**results.record(command, seeds={"fit": 0}), **figures})
    print(json.dumps(figures, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
