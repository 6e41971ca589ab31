"""What one process of an evaluation keeps between walks: the engine, the painter, the last building."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nav_vlm_node.paths import embedded_model
from nav_vlm_sim.scene import Pose
from nav_vlm_sim.walks import guides
from nav_vlm_sim.walks.crowd import Crowd
from nav_vlm_sim.walks.episode import Episode, Guiding, Picture, Stage, run
from nav_vlm_sim.walks.floorplan import read_plan
from nav_vlm_sim.walks.painter import Painter
from nav_vlm_sim.walks.procedural import plan_of
from nav_vlm_sim.walks.rig import RIG

if TYPE_CHECKING:
    from nav_vlm_node.vlm.blip2 import Blip2Engine
    from nav_vlm_sim.walks.evaluate import Settings, Task

ELSEWHERE, PLACES = 9_000_000, 20  # plans from which the shuffled guide's pictures come


@dataclass
class _Kept:
    painter: Painter = field(default_factory=Painter)
    engine: Blip2Engine | None = None
    loaded: tuple[str, str] = ("", "")  # model and adapter, as they were asked for
    adapter: str = ""  # the name of the latter
    stage: tuple[int | str, Stage] | None = None
    elsewhere: dict[int, Stage] = field(default_factory=dict)


_KEPT = _Kept()


def walk_one(settings: Settings, task: Task) -> Episode:
    """One walk of an evaluation. Raises UserError for a model that cannot be loaded."""
    if _KEPT.stage is None or _KEPT.stage[0] != task.plan:
        plan = plan_of(task.plan) if isinstance(task.plan, int) else read_plan(Path(task.plan))
        _KEPT.stage = task.plan, Stage(plan, _KEPT.painter)
    stage = _KEPT.stage[1]
    walk = stage.building.plan.walks[task.walk]
    guide = _guide(settings, task.guide)
    if settings.latency is None:
        return run(stage, walk, guide, task.seed, settings.manner)
    return run(stage, walk, guides.DelayedGuide(guide, settings.latency), task.seed, settings.manner, thinking=0.0)


def _guide(settings: Settings, name: str) -> Guiding:
    plain: dict[str, type[guides.OracleGuide | guides.ConstantGuide | guides.RandomGuide]] = {
        guides.ORACLE: guides.OracleGuide, guides.CONSTANT: guides.ConstantGuide, guides.RANDOM: guides.RandomGuide,
    }  # fmt: skip
    if name in plain:
        return plain[name]()
    engine = _engine(settings)
    adapter = "" if name == guides.BASE else _KEPT.adapter
    return guides.ModelGuide(
        engine, lambda: engine.set_adapter(adapter), _elsewhere if name == guides.SHUFFLED else None
    )


def _engine(settings: Settings) -> Blip2Engine:
    wanted = (settings.model or str(embedded_model()), settings.adapter)
    if _KEPT.engine is None or _KEPT.loaded != wanted:
        import torch

        from nav_vlm_node.vlm.load import load_engine

        if settings.device == "cpu":
            torch.set_num_threads(1)  # a process per core
        _KEPT.engine, _KEPT.loaded = load_engine(*wanted, device=settings.device), wanted
        _KEPT.adapter = _KEPT.engine.info.adapter
    return _KEPT.engine


def _elsewhere(seed: int, asked: int) -> Picture:
    """A picture of another building."""
    rng = np.random.default_rng([seed, asked, 813])
    number = ELSEWHERE + int(rng.integers(PLACES))
    if number not in _KEPT.elsewhere:
        _KEPT.elsewhere[number] = Stage(plan_of(number), _KEPT.painter)
    stage = _KEPT.elsewhere[number]
    room = stage.building.plan.rooms[int(rng.integers(len(stage.building.plan.rooms)))]
    x, y = room.centre
    pose = Pose(
        x=x, y=y, height=RIG.camera_height, yaw=float(rng.uniform(-math.pi, math.pi)), pitch=RIG.camera_pitch, roll=0.0
    )
    return _KEPT.painter(stage.building, Crowd.of(stage.building, stage.space), pose)
