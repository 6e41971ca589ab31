"""Ten walks over ROS 2 with Gazebo's pictures, beside the same ten with MuJoCo's: does the guide lead as well there?

The guide knows MuJoCo's pictures only from its training; Gazebo's light and surfaces are new to it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

import pytest
from tqdm import tqdm

from nav_vlm_node.score import Share, wilson
from nav_vlm_sim.ros.own_processes import STOP_PATIENCE, OwnProcess
from nav_vlm_sim.ros.walk import WalkSettings, walk
from nav_vlm_sim.scene import Pose
from nav_vlm_sim.walks import guides
from nav_vlm_sim.walks.episode import Episode
from nav_vlm_sim.walks.evaluate import COUNTED, Settings, Task, places
from nav_vlm_sim.walks.metrics import spl
from nav_vlm_sim.walks.procedural import plan_of
from nav_vlm_sim.walks.rig import camera_pose
from nav_vlm_sim.walks.working import walk_one
from tests.gazebo_classic.bridge import PICTURES, READY
from tests.gazebo_classic.server import missing

pytestmark = [
    pytest.mark.skipif(bool(missing()), reason=missing() or "it is there"), pytest.mark.timeout(5400), pytest.mark.slow,
]  # fmt: skip
SETTINGS = Settings(episodes=10, seed=1)  # nav-vlm-sim evaluate --episodes 10 --seed 1, without its walks of class C
STARTING = 600.0  # seconds that Gazebo may take, with starts that fail
SLOWEST = 0.1  # Hz, of pictures between questions, at which nobody looks; before each question there is one anyway


def in_gazebo(task: Task, work: Path, domain: int) -> Episode:
    """The walk over ROS 2, in lockstep, with the bridge, the guide and the walker as processes of their own."""
    (work / "gazebo").mkdir(parents=True)
    values: dict[str, Any] = {
        "plan": str(task.plan), "seed": task.seed, "rate": SLOWEST, "work": str(work / "gazebo"),
    }  # fmt: skip
    bridge = OwnProcess("bridge", "tests.gazebo_classic.bridge", values, work)
    try:
        end = time.monotonic() + STARTING
        while not (work / "gazebo" / READY).exists():
            bridge.check()
            assert time.monotonic() < end, bridge.last_words()
            time.sleep(0.1)
        return walk(
            WalkSettings(plan=str(task.plan), walk=task.walk, seed=task.seed, device="cpu", domain=domain, rig=False)
        )
    finally:
        bridge.release()
        bridge.wait(time.monotonic() + STOP_PATIENCE)


def drawn(work: Path) -> set[tuple[float, ...]]:
    """From where Gazebo took pictures."""
    lines = [json.loads(line) for line in (work / "gazebo" / PICTURES).read_text(encoding="utf-8").splitlines()]
    stamps = [(line["start"], line["stamp"]) for line in lines]
    assert stamps == sorted(set(stamps)), "every picture is a new one"
    return {rounded(Pose(**line["pose"])) for line in lines}


def rounded(pose: Pose) -> tuple[float, ...]:
    return tuple(round(value, 6) for value in astuple(pose))


def asked_from(episode: Episode) -> list[tuple[float, ...]]:
    """Where the camera was at each question."""
    return [rounded(camera_pose(episode.seed, turn.time, turn.x, turn.y, turn.yaw)) for turn in episode.turns]


def one(episode: Episode) -> dict[str, Any]:
    sided = [turn.reversal for turn in episode.turns if turn.reversal is not None]
    return {
        "arrived": episode.arrived, "spl": round(spl(episode), 3), "questions": len(episode.turns),
        "time_s": round(episode.time, 1), "collisions": episode.touches.collisions,
        "reversals": sum(sided), "sided": len(sided),
    }  # fmt: skip


def together(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    sums = {name: sum(walk[name] for walk in found) for name in ("questions", "collisions", "reversals", "sided")}
    return {
        "walks": len(found), "success_rate": wilson(sum(walk["arrived"] for walk in found), len(found)).to_json(),
        "spl": round(sum(walk["spl"] for walk in found) / len(found), 3), **sums,
        "reversal_rate": wilson(sums["reversals"], sums["sided"]).to_json(),
    }  # fmt: skip


def overlap(one: Share, other: Share) -> bool:
    return one.low <= other.high and other.low <= one.high


def test_ten_walks_in_gazebo_end_as_in_mujoco(
    tmp_path: Path, ros_domain: int, monkeypatch: pytest.MonkeyPatch, figures: dict[str, Any]
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]), prepend=os.pathsep)
    tasks = [Task(guides.MODEL, *place) for place in places(SETTINGS)]
    tasks = [task for task in tasks if plan_of(int(task.plan)).walks[task.walk].kind in COUNTED]
    rows, found = [], dict[str, list[dict[str, Any]]](gazebo=[], mujoco=[])
    for task in tqdm(tasks, unit="walk", file=sys.__stderr__):
        work = tmp_path / f"{task.plan}-{task.walk}"
        episode = in_gazebo(task, work, ros_domain)
        assert episode.turns
        assert set(asked_from(episode)) <= drawn(work), "an instruction was about another picture than Gazebo's"
        found["gazebo"].append(one(episode))
        found["mujoco"].append(one(walk_one(SETTINGS, task)))
        rows.append({
            "plan": task.plan, "walk": task.walk, "class": episode.walk.kind, "goal": episode.walk.goal,
            "shortest_m": round(episode.shortest, 2), "gazebo": found["gazebo"][-1], "mujoco": found["mujoco"][-1],
        })  # fmt: skip
        print(json.dumps(rows[-1]), file=sys.__stderr__, flush=True)
    assert len(rows) == SETTINGS.episodes
    sums = {simulator: together(of) for simulator, of in found.items()}
    figures["walks"] = {"about": ABOUT, **sums, "each": rows}
    arrived = [wilson(sum(walk["arrived"] for walk in of), len(of)) for of in found.values()]
    assert overlap(*arrived), sums


ABOUT = "walks of classes A and B of `nav-vlm-sim evaluate --episodes 10 --seed 1`; Gazebo's over ROS 2, in lockstep"
