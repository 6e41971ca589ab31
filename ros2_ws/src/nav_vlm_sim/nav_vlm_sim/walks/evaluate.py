"""Many walks under many guides, on all cores, on plans that nobody has seen: does the wearer arrive?"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from nav_vlm_node.cluster import cluster
from nav_vlm_node.errors import UserError
from nav_vlm_node.vlm.card import write_json
from nav_vlm_sim.processes import start_worker
from nav_vlm_sim.walks import records
from nav_vlm_sim.walks.contents import OF_MODEL, contents_of
from nav_vlm_sim.walks.episode import Episode, Stage
from nav_vlm_sim.walks.floorplan import CLASSES, FloorPlan, read_plan
from nav_vlm_sim.walks.guides import GUIDES, LOOKING
from nav_vlm_sim.walks.metrics import by_class
from nav_vlm_sim.walks.procedural import plan_of
from nav_vlm_sim.walks.walker import MANNERS

FIRST_PLAN, PLANS = 10_000_000, 100_000  # the plans of seed S are those from FIRST_PLAN + S * PLANS on
FIRST_LEARNED_SEED = 5000  # walks of this seed and those after it are to learn from; no guide is measured on them
COUNTED = "AB"  # classes that the episodes are of; C comes beside them, one for every COUNTED_PER_C
COUNTED_PER_C = 4
MOST_LATENCY = 60.0  # seconds
RAY_TRIES = 2  # of a walk whose process died
EPISODES, SETTINGS = "episodes.jsonl", "settings.json"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """episodes: walks of classes A and B, half of each; a quarter as many of class C come beside them. plans: YAML
    files to walk in place of drawn ones, every walk that is in them. model, adapter: of the model guide. latency: None
    for wearers who stand still while they wait for an answer; else the seconds that they walk on meanwhile."""

    episodes: int
    seed: int
    manner: str = "average"
    guides: tuple[str, ...] = GUIDES
    plans: tuple[str, ...] = ()
    model: str = ""
    adapter: str = "default"
    device: str = "cpu"
    latency: float | None = None

    def __post_init__(self) -> None:
        if self.episodes < 1 or not 0 <= self.seed < 10_000:
            raise UserError("--episodes: give 1 or more; --seed: a whole number from 0 to 9999")
        if self.latency is not None and not 0 <= self.latency <= MOST_LATENCY:
            raise UserError(f"--latency {self.latency:g}: give 0 to {MOST_LATENCY:g} seconds")
        if self.manner not in MANNERS:
            raise UserError(f"no walker {self.manner!r}; use {', '.join(MANNERS)}")
        for guide in self.guides:
            if guide not in GUIDES:
                raise UserError(f"no guide {guide!r}; use {', '.join(GUIDES)}")
        files = [str(Path(path).resolve()) for path in self.plans]
        for option, given in (("--guides", self.guides), ("--plan", files)):
            for name in given:
                if given.count(name) > 1:
                    raise UserError(f"{option}: {name} is named twice; name it once")


@dataclass(frozen=True)
class Task:
    """One walk under one guide. plan: a seed, or the path of a YAML. walk: which of the plan's."""

    guide: str
    plan: int | str
    walk: int
    seed: int

    @property
    def key(self) -> str:
        """Names it among all of an evaluation."""
        return f"{self.guide} {self.plan} {self.walk} {self.seed}"


def tasks_of(settings: Settings) -> list[Task]:
    """Every walk of an evaluation, under every guide. Raises UserError."""
    return [Task(guide, *place) for place in places(settings) for guide in settings.guides]


def evaluate(
    settings: Settings,
    out: Path,
    *,
    tasks: Sequence[Task] | None = None,
    workers: int | None = None,
    ray: str | None = None,
    quiet: bool = False,
) -> dict[str, Any]:
    """Walks everything that `out` does not hold yet, and what came out of it. Raises UserError.

    Interrupted, the same call goes on where it stopped. The result depends on the settings alone. tasks: `tasks_of`
    them, where they are known. ray: None for processes of this machine, "" for a Ray of its own, else the address of
    one.
    """
    tasks = tasks_of(settings) if tasks is None else tasks
    done = _claim(out, settings)
    missing = [task for task in tasks if task.key not in done]
    often = 0.2 if sys.stderr.isatty() else 10.0
    with (
        (out / EPISODES).open("a", encoding="utf-8") as file,
        tqdm(total=len(tasks), initial=len(tasks) - len(missing), unit="walk", mininterval=often, disable=quiet) as bar,
    ):
        count = workers or os.cpu_count() or 1
        walked = _walk_all(settings, missing, count) if ray is None else _walk_on_ray(settings, missing, count, ray)
        for task, episode in walked:
            kept = records.to_json(episode)
            done[task.key] = records.from_json(kept)  # what a later run will know of it
            file.write(json.dumps({"key": task.key, "episode": kept}) + "\n")
            file.flush()
            bar.set_postfix_str(f"{task.guide} {'arrived' if episode.arrived else 'lost'}", refresh=False)
            bar.update()
    episodes = {guide: [done[task.key] for task in tasks if task.guide == guide] for guide in settings.guides}
    return {"settings": _told(settings), "guides": by_class(episodes, COUNTED)}


def places(settings: Settings) -> list[tuple[int | str, int, int]]:
    """(plan, walk, seed) of every episode: of each class the first walk of each plan, until there are enough; all walks
    of plans by hand. Raises UserError for one of those that cannot be walked."""
    if settings.plans:
        return [(path, k, settings.seed * 100 + k) for path in settings.plans for k in range(_walkable(path))]
    wanted = dict.fromkeys(COUNTED, settings.episodes // 2)
    wanted["A"] += settings.episodes % 2
    wanted["C"] = settings.episodes // COUNTED_PER_C
    found: list[tuple[int | str, int, int]] = []
    first = FIRST_PLAN + settings.seed * PLANS
    for number in range(first, first + PLANS):
        if not any(wanted.values()):
            break
        plan = plan_of(number)
        stage = Stage(plan)
        for kind in CLASSES:
            index = next((k for k, walk in enumerate(plan.walks) if walk.kind == kind), None)
            if not wanted[kind] or index is None:
                continue
            walk = plan.walks[index]
            if stage.way((walk.x, walk.y), walk.goal):
                wanted[kind] -= 1
                found.append((number, index, number))
    return found


def _walkable(path: str) -> int:
    """How many walks a plan by hand has."""
    plan = _plan(path)
    stage = Stage(plan)
    for k, walk in enumerate(plan.walks):
        if not stage.way((walk.x, walk.y), walk.goal):
            raise UserError(
                f"{path}: no way leads from {walk.x:g}, {walk.y:g} (walk {k}) to the goal {walk.goal!r}; see "
                "`nav-vlm-sim plan`, and mend the plan or leave the walk out"
            )
    return len(plan.walks)


def _plan(plan: int | str) -> FloorPlan:
    return plan_of(plan) if isinstance(plan, int) else read_plan(Path(plan))


def _told(settings: Settings) -> dict[str, Any]:
    return {**asdict(settings), "guides": list(settings.guides), "plans": [Path(p).name for p in settings.plans]}


def _claim(out: Path, settings: Settings) -> dict[str, Episode]:
    """What `out` holds of these settings already. Raises UserError where it holds others."""
    wanted = {name: value for name, value in _told(settings).items() if name not in ("guides", "episodes")}
    wanted |= contents_of(settings)
    out.mkdir(parents=True, exist_ok=True)
    file = out / SETTINGS
    if not file.is_file():
        if any(out.iterdir()):
            raise UserError(f"{out} is not empty and holds no walks; give another --out")
        write_json(file, wanted)
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        raise UserError(f"{file} is damaged; give another --out") from None
    found = found if isinstance(found, dict) else {}
    done = records.read(out / EPISODES)
    # Guides that do not look may be compared with those of any model, until one has looked.
    free = () if LOOKING & set(settings.guides) and {key.partition(" ")[0] for key in done} & LOOKING else OF_MODEL
    names = [name for name in {**wanted, **found} if name not in free and found.get(name) != wanted.get(name)]
    if names:
        raise UserError(f"{out} holds walks with other settings ({', '.join(names)} differ); give another --out")
    if found != {**found, **wanted}:
        write_json(file, {**found, **wanted})
    whole = (out / EPISODES).read_bytes() if (out / EPISODES).is_file() else b""
    if whole and not whole.endswith(b"\n"):  # a killed run's last line
        (out / EPISODES).write_bytes(whole[: whole.rfind(b"\n") + 1])
    return done


def _walk_all(settings: Settings, tasks: Sequence[Task], workers: int) -> Iterator[tuple[Task, Episode]]:
    """Yields each walk when it is over, in any order."""
    from nav_vlm_sim.walks.working import walk_one

    if not tasks:
        return
    os.environ.setdefault("LP_NUM_THREADS", "1")
    workers = min(workers, len(tasks))
    if workers == 1:
        yield from ((task, walk_one(settings, task)) for task in tasks)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=start_worker) as pool:
        futures: dict[Future[Episode], Task] = {pool.submit(walk_one, settings, task): task for task in tasks}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BrokenProcessPool:
            raise UserError(
                "a walking process died (out of memory?); give the same command again, with fewer --workers: "
                "it goes on where it stopped"
            ) from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _walk_on_ray(
    settings: Settings, tasks: Sequence[Task], workers: int, address: str
) -> Iterator[tuple[Task, Episode]]:
    """The same by Ray: a task of one processor each. Raises UserError."""
    from nav_vlm_sim.walks.working import walk_one

    if not tasks:
        return
    gpus = 1 / workers if settings.device.startswith("cuda") else 0
    with cluster(address, workers, quiet=True) as ray:
        remote = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=RAY_TRIES)(walk_one)
        waiting = {remote.remote(settings, task): task for task in tasks}
        while waiting:
            (done, *_), _ = ray.wait(list(waiting))
            task = waiting.pop(done)
            try:
                yield task, ray.get(done)
            except ray.exceptions.RayTaskError as error:
                if isinstance(error.cause, UserError):
                    raise error.cause from None
                raise
