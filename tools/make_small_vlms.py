"""Two small vision-language models of other families than ours, trained here, for `nav-vlm-train baseline`.

    python tools/make_small_vlms.py --frames RUN/frames --out DIR [--family llava] [--worlds 40] [--steps N]

They are made here from the embedded model and new weights, and are not the published LLaVA and InstructBLIP; see
training/nav_vlm_training/vlms/small.py. They learn to describe, as the embedded base did, from the frames of a run of
`nav-vlm-train embedded`: from the last worlds of frames/train, which its perception did not see. The same command goes
on where it was stopped. DIR/<family> is the model, DIR/<family>.json what it got and what it scores on frames/val;
delete that file to make the model again.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nav_vlm_node import results
from nav_vlm_node.command_line import guarded
from nav_vlm_node.errors import UserError

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
ROOT = Path(__file__).resolve().parents[1]
BASE = ROOT / "models" / "embedded"
STEPS = {"llava": 900, "instructblip": 250}
RATES = {"llava": 1e-3, "instructblip": 3e-4}
SHARES = {"llava": (4, 8), "instructblip": (8, 4)}  # pictures per update, questions about each


def features_of(frames: Path, worlds: int, out: Path) -> Any:
    """What the embedded ViT makes of training frames, from before its last normalisation; kept under `out`."""
    import numpy as np
    import torch
    from torch import nn
    from tqdm import tqdm

    from nav_vlm_training.embedded.architecture import VIEW, load_base
    from nav_vlm_training.embedded.features import Features
    from nav_vlm_training.embedded.pretrain import to_pixels
    from nav_vlm_training.embedded.targets import Frames

    shards = sorted((frames / "train").glob("world-*"))[-worlds:]
    if not 0 < worlds <= len(shards):
        raise UserError(f"{frames / 'train'} has {len(shards)} worlds: give so many --worlds at most, or render more")
    folder = out / "features" / f"{shards[0].name}-{shards[-1].name}"
    shown = Frames(shards, VIEW)
    if (kept := Features.load(folder, shown)) is not None:
        return kept
    eyes = load_base(BASE).vision_model.eval()
    eyes.post_layernorm = nn.Identity()
    rows, patches = np.arange(len(shown)), []
    with torch.no_grad():
        for block in tqdm(np.array_split(rows, -(-len(rows) // 48)), unit_scale=48, unit="frame", desc="features"):
            seen = eyes(to_pixels(torch.from_numpy(shown.rgb(block)))).last_hidden_state
            patches.append(seen.numpy().astype(np.float16))
    features = Features(
        np.concatenate(patches), rows, np.zeros(len(rows), bool), np.zeros(len(rows)), shown.observations
    )
    features.save(folder)
    return features


def make(family: str, frames: Path, out: Path, worlds: int, steps: int, rate: float, seed: int) -> dict[str, Any]:
    """Writes out/<family>; returns what it got."""
    from nav_vlm_training.embedded.architecture import load_base
    from nav_vlm_training.embedded.language import Checkpoint
    from nav_vlm_training.vlms import small
    from nav_vlm_training.vlms.describing import DescribeConfig, learn_to_describe

    features = features_of(frames, worlds, out)
    tokenizer = small.new_tokenizer(BASE, ends=family != "llava")
    model: Any
    if family == "llava":
        model = small.make_llava(load_base(BASE), tokenizer, seed)
        small.level_projector(model, small.patch_sample(features.patches))
    else:
        model = small.make_instructblip(load_base(BASE), tokenizer, seed)
    images, each = SHARES[family]
    config = DescribeConfig(steps=steps, rate=rate, images=images, each=each, seed=seed)
    begun = Checkpoint(out / f"{family}.checkpoint.pt", f"{config} {worlds}", every=100)
    began = time.monotonic()
    loss = learn_to_describe(model, tokenizer, features, config, begun)
    small.save(model, small.new_processor(model, tokenizer), out / family)
    begun.path.unlink(missing_ok=True)
    return {
        "family": family, "updates": steps, "questions": steps * images * each, "loss": round(loss, 4),
        "rate": rate, "seconds": round(time.monotonic() - began, 1), "worlds": worlds,
    }  # fmt: skip


def scored(directory: Path, frames: Path) -> dict[str, Any]:
    """What a model that was made scores before anybody tunes it, on frames/val."""
    from nav_vlm_training.embedded.architecture import VIEW
    from nav_vlm_training.embedded.targets import Frames
    from nav_vlm_training.vlms.describing import check

    return check(directory, Frames(sorted((frames / "val").glob("world-*")), VIEW))


def report(args: argparse.Namespace, command: str) -> int:
    """Make what is asked for and not made yet, and say what it is worth."""
    for family in STEPS if args.family == "all" else (args.family,):
        told = args.out / f"{family}.json"
        steps, rate = args.steps or STEPS[family], args.rate or RATES[family]
        if not told.exists():
            made = make(family, args.frames, args.out, args.worlds, steps, rate, args.seed)
            results.write(told, {**made, **results.record(command, seeds={"make": args.seed})})
        facts = json.loads(told.read_text(encoding="utf-8"))
        if "scores" not in facts:
            facts["scores"] = scored(args.out / family, args.frames)
            results.write(told, facts)
        share = facts["scores"]["direction_accuracy"]
        print(f"{family}: {facts['updates']} updates, {facts['questions']:,} questions, zero-shot direction_accuracy "
              f"{share['value']:.3f} ({share['low']:.3f} to {share['high']:.3f})")  # fmt: skip
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Make them; returns the exit status."""
    given = sys.argv[1:] if argv is None else list(argv)
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--frames", type=Path, required=True, help="frames/ of a run of nav-vlm-train embedded")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--family", choices=(*STEPS, "all"), default="all")
    parser.add_argument("--worlds", type=int, default=40, help="sets of surface patterns, 144 frames each (40)")
    parser.add_argument("--steps", type=int, help=f"updates ({STEPS})")
    parser.add_argument("--rate", type=float, help=f"learning rate at its peak ({RATES})")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(given)
    command = results.command_line("python", ["tools/make_small_vlms.py", *given])
    return guarded("make_small_vlms", lambda: report(args, command))


if __name__ == "__main__":
    sys.exit(main())
