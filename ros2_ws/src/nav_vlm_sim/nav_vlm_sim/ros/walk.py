"""One walk over ROS 2: the rig, the guide and the walker as processes of their own, on a domain of their own."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nav_vlm_node.errors import UserError
from nav_vlm_sim.ros.own_processes import (
    STOP_PATIENCE,
    OwnProcess,
    SystemFailure,
    Value,
    enter_domain,
    free_domain,
)
from nav_vlm_sim.walks import records
from nav_vlm_sim.walks.episode import Episode
from nav_vlm_sim.walks.rig import RIG

LOOK = 0.1  # seconds between two looks at how the processes are


@dataclass(frozen=True, kw_only=True)
class WalkSettings:
    """plan: a YAML's path, or the seed of a drawn one. walk: which of its walks. seed: of walker, camera and odometry.

    lockstep: time stands still while the guide thinks. speed, delay: without lockstep, simulated seconds per second,
    and those by which answers are held back. domain: None for one that nobody uses. rig: False where one is on that
    domain already.
    """

    plan: str
    walk: int = 0
    seed: int = 0
    walker: str = "average"
    lockstep: bool = True
    speed: float = 1.0
    delay: float = 0.0
    model: str = ""
    adapter: str = "default"
    device: str = "auto"
    domain: int | None = None
    rig: bool = True


def walk(settings: WalkSettings, say: Callable[[str], None] = lambda text: None) -> Episode:
    """Starts everything, walks once, and ends everything. Raises UserError, SystemFailure and KeyboardInterrupt."""
    claim, domain = (None, settings.domain) if settings.domain is not None else free_domain()
    assert domain is not None
    folder = Path(tempfile.mkdtemp(prefix="nav_vlm_walk_"))
    processes: list[OwnProcess] = []
    try:
        enter_domain(domain, folder)
        for name, (module, values) in _plans(settings, folder / "walk.json").items():
            processes.append(OwnProcess(name, module, values, folder))
        say(f"walking on ROS 2 domain {domain}")
        _wait(processes)
        return _read(folder / "walk.json", processes[-1])
    finally:
        for process in processes:
            process.release()
        until = time.monotonic() + STOP_PATIENCE
        for process in processes:
            process.wait(until)
        if claim is not None:
            claim.close()
        shutil.rmtree(folder, ignore_errors=True)


def _plans(settings: WalkSettings, record: Path) -> dict[str, tuple[str, dict[str, Value]]]:
    """name -> module and parameters; the walker last."""
    shared: dict[str, Value] = {"plan": settings.plan, "seed": settings.seed}
    guide: dict[str, Value] = {
        "use_sim_time": True, "model": settings.model, "adapter": settings.adapter, "device": settings.device,
        "camera_pitch": RIG.camera_pitch, "camera_height": RIG.camera_height,
    }  # fmt: skip
    walker: dict[str, Value] = {
        "walk": settings.walk, "walker": settings.walker, "lockstep": settings.lockstep, "speed": settings.speed,
        "delay": settings.delay, "record": str(record),
    }  # fmt: skip
    rig = {"sim_rig": ("nav_vlm_sim.ros.rig_node", shared)} if settings.rig else {}
    return {
        "nav_vlm": ("nav_vlm_node.ros.node", guide),
        **rig,
        "walker": ("nav_vlm_sim.ros.walker_node", {**shared, **walker}),
    }


def _wait(processes: list[OwnProcess]) -> None:
    """Until the walker has walked. Raises SystemFailure where one of the others ends before."""
    while not processes[-1].ended:
        for process in processes[:-1]:
            process.check()
        time.sleep(LOOK)


def _read(path: Path, walker: OwnProcess) -> Episode:
    if not path.is_file():
        words = walker.last_words()
        if "walker_node: error: " in words:
            raise UserError(words.split("walker_node: error: ", 1)[1])
        raise SystemFailure(f"the walker wrote no walk: {words}")
    return records.from_json(json.loads(path.read_text(encoding="utf-8")))
