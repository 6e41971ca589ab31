"""What /diagnostics says of model, engine process, image, answers, memory: pure functions from a snapshot."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from nav_vlm_node.instruction import Status
from nav_vlm_node.vlm.protocol import EngineInfo

if TYPE_CHECKING:
    from nav_vlm_node.vlm.supervised import EngineStatus

OK, WARN, ERROR, STALE = (DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR, DiagnosticStatus.STALE)


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """How the node is at one moment. Ages in seconds, NaN where there is nothing to be old.

    info: the loaded model. engine: how its process is; None where it runs in the node's own.
    """

    state: str
    enabled: bool = True
    fault: str = ""
    info: EngineInfo | None = None
    engine: EngineStatus | None = None
    image_topic: str = ""
    image_age: float = math.nan
    image_rate: float = 0.0
    image_count: int = 0
    image_publishers: int = 0
    image_problem: str = ""
    camera_info: bool = False
    max_image_age: float = 0.5
    busy: bool = False
    counts: Mapping[Status, int] = field(default_factory=dict)
    last_latency: float = math.nan


def diagnostics_of(snapshot: Snapshot, name: str) -> DiagnosticArray:
    """One DiagnosticArray, its stamp left to the caller; `name` is the node's."""
    parts = (
        model_status(snapshot),
        engine_status(snapshot),
        image_status(snapshot),
        answer_status(snapshot),
        memory_status(snapshot),
    )
    for part in parts:
        part.name = f"{name}: {part.name}"
        part.hardware_id = "nav_vlm"
    return DiagnosticArray(status=list(parts))


def model_status(snapshot: Snapshot) -> DiagnosticStatus:
    """Loaded, loading, or why not."""
    info = snapshot.info
    if snapshot.fault:
        level, message = ERROR, snapshot.fault
    elif info is None:
        level, message = WARN, f"no model is loaded: the node is {snapshot.state}"
    elif snapshot.state != "active":
        level, message = WARN, f"loaded; the node is {snapshot.state}"
    elif not snapshot.enabled:
        level, message = WARN, "loaded; answering is switched off (service enable)"
    else:
        level, message = OK, "ready"
    values = {"state": snapshot.state}
    if info is not None:
        values.update(model=info.model, adapter=info.adapter or "(base)", device=info.device, dtype=info.dtype)
    return _status("model", level, message, **values)


def engine_status(snapshot: Snapshot) -> DiagnosticStatus:
    """The model's process."""
    engine = snapshot.engine
    if engine is None:
        message = "not started" if snapshot.info is None else "in the node's own process"
        return _status("engine process", OK, message)
    level = OK if engine.state == "ready" else ERROR
    message = engine.state + (f" (the one before: {engine.cause})" if engine.cause else "")
    return _status(
        "engine process",
        level,
        message,
        pid="" if engine.pid is None else str(engine.pid),
        restarts=str(engine.restarts),
        start_s=f"{engine.start_seconds:.1f}",
        memory_bytes=str(engine.memory),
    )


def image_status(snapshot: Snapshot) -> DiagnosticStatus:
    """Whether the camera delivers, and what can be told about why not."""
    if math.isnan(snapshot.image_age):
        who = f"{snapshot.image_publishers} publishers; is the camera on, is image remapped, do QoS profiles match?"
        level, message = ERROR, f"no image on {snapshot.image_topic}: {who}"
    elif abs(snapshot.image_age) > snapshot.max_image_age:
        level, message = ERROR, f"the newest image on {snapshot.image_topic} is {snapshot.image_age:.1f} s old"
    elif snapshot.image_problem:
        level, message = WARN, snapshot.image_problem
    elif not snapshot.camera_info:
        level, message = OK, "images arrive; no camera_info, the field of view is the parameter camera_hfov"
    else:
        level, message = OK, "images arrive"
    return _status(
        "image",
        level,
        message,
        topic=snapshot.image_topic,
        age_s=f"{snapshot.image_age:.3f}",
        rate_hz=f"{snapshot.image_rate:.1f}",
        received=str(snapshot.image_count),
        publishers=str(snapshot.image_publishers),
        camera_info=str(snapshot.camera_info).lower(),
    )


def answer_status(snapshot: Snapshot) -> DiagnosticStatus:
    """How many questions ended how."""
    errors = snapshot.counts.get(Status.ERROR, 0)
    level, message = (
        (WARN, f"{errors} errors") if errors else (OK, "answering" if snapshot.busy else "waiting for a question")
    )
    counts = {status.name.lower(): str(count) for status, count in snapshot.counts.items()}
    return _status("answers", level, message, last_latency_s=f"{snapshot.last_latency:.3f}", **counts)


def memory_status(snapshot: Snapshot) -> DiagnosticStatus:
    """Memory of the node and of the engine process, and what the machine has left."""
    node, free = resident_bytes(), available_bytes()
    engine = 0 if snapshot.engine is None else snapshot.engine.memory
    scarce = free < 200e6  # false for NaN
    level, message = (WARN, "little memory is left") if scarce else (OK, f"{(node + engine) / 1e6:.0f} MB in use")
    return _status(
        "memory", level, message, node_bytes=f"{node:.0f}", engine_bytes=f"{engine:.0f}", available_bytes=f"{free:.0f}"
    )


def resident_bytes() -> float:
    """Resident set of this process, Linux only; 0 where it cannot be read."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * float(os.sysconf("SC_PAGE_SIZE"))
    except (OSError, ValueError, IndexError):
        return 0.0


def available_bytes() -> float:
    """Memory that programs can still get, Linux only; NaN where it cannot be read."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024.0
    except (OSError, ValueError, IndexError):
        pass
    return math.nan


def _status(name: str, level: bytes, message: str, **values: str) -> DiagnosticStatus:
    pairs = [KeyValue(key=key, value=value) for key, value in values.items()]
    return DiagnosticStatus(name=name, level=level, message=message, values=pairs)
