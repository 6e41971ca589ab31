"""Many frames on disk, in parallel and resumable: what training the embedded model reads.

A shard is a folder with rgb.npy, cells.npy, depth.npy (memory-mappable, one row per frame) and
truth.jsonl (a line per frame). It appears under its name only when it is complete, so an
interrupted run goes on where it stopped. The same seed always gives the same shard.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from tqdm import tqdm

from nav_vlm_node.view import View
from nav_vlm_sim.records import Frame, frame_to_json, take_frame
from nav_vlm_sim.scene import sample_scene
from nav_vlm_sim.world import SCENES_PER_WORLD, World

VIEWS_PER_SCENE = 3
FRAMES_PER_SHARD = SCENES_PER_WORLD * VIEWS_PER_SCENE
Job = TypeVar("Job")


@dataclass(frozen=True, kw_only=True)
class ShardPlan:
    """What to render. first_world: worlds are numbered; a split is a range of them, so no scene is in two."""

    out: Path
    first_world: int
    worlds: int
    view: View
    room: str | None = None
    family: str = "train"


def frames_of_world(number: int, view: View, *, room: str | None = None, family: str = "train") -> Iterator[Frame]:
    """The FRAMES_PER_SHARD frames of one world (one set of surface patterns)."""
    with World(number, family) as world:
        for k in range(SCENES_PER_WORLD):
            scene = sample_scene(number * SCENES_PER_WORLD + k, room=room, family=family)
            world.load(scene)
            for index in range(VIEWS_PER_SCENE):
                yield take_frame(world, scene, index, view)


def shard_path(plan: ShardPlan, number: int) -> Path:
    """The folder of world `number`."""
    return plan.out / f"world-{number:06d}"


def _render_shard(job: tuple[ShardPlan, int]) -> int:
    plan, number = job
    write_shard(shard_path(plan, number), list(frames_of_world(number, plan.view, room=plan.room, family=plan.family)))
    return FRAMES_PER_SHARD


def write_shard(final: Path, frames: Sequence[Frame]) -> None:
    """Writes some frames as one shard, whole or not at all."""
    draft = final.with_name(f".{final.name}.{os.getpid()}")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    np.save(draft / "rgb.npy", np.stack([f.rgb for f in frames]))
    np.save(draft / "cells.npy", np.stack([f.cells for f in frames]))
    np.save(draft / "depth.npy", np.stack([f.depth for f in frames]))
    (draft / "truth.jsonl").write_text("".join(json.dumps(frame_to_json(f)) + "\n" for f in frames))
    draft.rename(final)


def render_shards(plan: ShardPlan, processes: int | None = None) -> None:
    """Renders the shards of the plan that are not there yet, on all cores, with a progress bar."""
    numbers = range(plan.first_world, plan.first_world + plan.worlds)
    jobs = [(plan, n) for n in numbers if not shard_path(plan, n).exists()]
    clear_drafts(plan.out)
    total = plan.worlds * FRAMES_PER_SHARD
    on_all_cores(_render_shard, jobs, total, total - len(jobs) * FRAMES_PER_SHARD, processes)


def clear_drafts(out: Path) -> None:
    """Makes the folder of shards, and removes what an interrupted run left there."""
    out.mkdir(parents=True, exist_ok=True)
    for draft in out.glob(".w*-*"):
        shutil.rmtree(draft, ignore_errors=True)


def on_all_cores(
    render: Callable[[Job], int], jobs: Sequence[Job], total: int, done: int, processes: int | None = None
) -> None:
    """Renders shards, with a progress bar over frames. render: one job, in a process of its own; how many frames."""
    os.environ.setdefault("LP_NUM_THREADS", "1")  # one software-rendering thread per process
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes or os.cpu_count()) as pool, tqdm(total=total, initial=done, unit="frame") as bar:
        for count in pool.imap_unordered(render, jobs):
            bar.update(count)
