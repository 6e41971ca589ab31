"""What was seen on walks, as shards to learn from: the pictures at every question, with their truth.

DAgger (Ross et al. 2011): a guide walks where its own mistakes lead it, and learns there from what is true.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nav_vlm_node.errors import UserError
from nav_vlm_node.instruction import Step
from nav_vlm_node.view import View
from nav_vlm_sim.records import Frame, frame_at
from nav_vlm_sim.shards import clear_drafts, on_all_cores, write_shard
from nav_vlm_sim.truth import NEW_TARGETS, Observation
from nav_vlm_sim.walks import records
from nav_vlm_sim.walks.building import build
from nav_vlm_sim.walks.crowd import Crowd
from nav_vlm_sim.walks.episode import Episode, Turn
from nav_vlm_sim.walks.evaluate import EPISODES, FIRST_LEARNED_SEED, SETTINGS
from nav_vlm_sim.walks.painter import world_of
from nav_vlm_sim.walks.procedural import plan_of
from nav_vlm_sim.walks.rig import CAMERA, RIG, camera_pose
from nav_vlm_sim.walks.space import Space, solids_of

LIKE = dict.fromkeys(NEW_TARGETS, "box")
ASIDE = math.radians(20), math.radians(100)  # by how much another heading at the same place differs
ALIKE = 0.2, math.radians(10)  # metres, radians: of two places nearer together than this one is enough


@dataclass(frozen=True)
class _Job:
    out: Path
    plan: int
    turns: tuple[Turn, ...]
    view: View
    headings: int


def render_walks(walked: Path, out: Path, view: View, headings: int = 0, processes: int | None = None) -> None:
    """Renders the shards that are not there yet, one of each plan, on all cores, with a progress bar.

    One that holds another number of pictures is drawn again. walked: the --out of `nav-vlm-sim evaluate`, on drawn
    plans. headings: so many more pictures at every place, to other sides. Raises UserError where it holds no walks,
    or where guides are measured on walks of its seed.
    """
    turns = turns_of(walked)
    clear_drafts(out)
    jobs = [
        _Job(out, plan, tuple(of), view, headings)
        for plan, of in turns.items()
        if _frames_in(_shard(out, plan)) != len(of) * (1 + headings)
    ]
    left = sum(len(job.turns) for job in jobs) * (1 + headings)
    total = sum(map(len, turns.values())) * (1 + headings)
    on_all_cores(_render, jobs, total, total - left, processes)


def turns_of(walked: Path) -> dict[int, list[Turn]]:
    """plan -> the questions of all walks there, without those from where another one was asked. Raises UserError."""
    try:
        settings = json.loads((walked / SETTINGS).read_text(encoding="utf-8"))
        seed, plans = int(settings["seed"]), settings["plans"]
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"{walked} holds no walks; give the --out of nav-vlm-sim evaluate") from None
    if plans or seed < FIRST_LEARNED_SEED:
        raise UserError(
            f"{walked} holds walks that guides are measured on; walk with --seed {FIRST_LEARNED_SEED} or more, and "
            "without --plan"
        )
    return _apart(records.read(walked / EPISODES))


def _apart(episodes: Mapping[str, Episode]) -> dict[int, list[Turn]]:
    found: dict[int, list[Turn]] = {}
    for key in sorted(episodes):
        kept = found.setdefault(episodes[key].seed, [])  # the seed of a walk on a drawn plan is the plan's
        for turn in episodes[key].turns:
            if not any(_alike(turn, other) for other in kept):
                kept.append(turn)
    return found


def _alike(a: Turn, b: Turn) -> bool:
    turned = abs(math.remainder(a.yaw - b.yaw, math.tau))
    return math.dist((a.x, a.y), (b.x, b.y)) < ALIKE[0] and turned < ALIKE[1]


def _shard(out: Path, plan: int) -> Path:
    return out / f"walk-{plan:09d}"


def _frames_in(shard: Path) -> int:
    """How many there are, 0 where it is not there."""
    truth = shard / "truth.jsonl"
    return len(truth.read_bytes().splitlines()) if truth.exists() else 0


def _render(job: _Job) -> int:
    shutil.rmtree(_shard(job.out, job.plan), ignore_errors=True)  # one with fewer headings, or of other walks
    turns = list(_all_sides(job.turns, job.headings, np.random.default_rng([job.plan, 3])))
    write_shard(_shard(job.out, job.plan), list(frames_of_turns(job.plan, turns, job.view)))
    return len(turns)


def _all_sides(turns: Iterable[Turn], headings: int, rng: np.random.Generator) -> Iterator[Turn]:
    """Every turn, and so many more at its place, to either side."""
    for turn in turns:
        yield turn
        for _ in range(headings):
            by = rng.uniform(*ASIDE) * rng.choice((-1.0, 1.0))
            yield replace(turn, yaw=math.remainder(turn.yaw + by, math.tau))


def frames_of_turns(number: int, turns: Sequence[Turn], view: View) -> Iterable[Frame]:
    """The pictures from where questions were asked in the plan of that number, with everybody where they were."""
    building = build(plan_of(number))
    crowd = Crowd.of(building, Space(solids_of(building, leave_out=building.scene.speeds)))
    with world_of(building) as world:
        for index, turn in enumerate(turns):
            crowd.stand(turn.people)
            scene = crowd.scene()
            if not index or crowd.people:
                world.load(scene)
            world.light(building.lights_at(turn.x, turn.y))
            pose = camera_pose(number, turn.time, turn.x, turn.y, turn.yaw)
            frame = frame_at(world, scene, index, view, pose, CAMERA, RIG)
            yield replace(frame, observation=_in_known_words(frame.observation))


def _in_known_words(observation: Observation) -> Observation:
    """A thing in the way that only these buildings have is called by what is most like it in the others."""

    def named(step: Step) -> Step:
        return replace(step, landmark=LIKE.get(step.landmark, step.landmark))

    targets = {
        name: replace(target, hazards=tuple(map(named, target.hazards))) for name, target in observation.targets.items()
    }
    return replace(observation, targets=targets, ahead=named(observation.ahead) if observation.ahead else None)
