from __future__ import annotations

import math
from dataclasses import replace

from nav_vlm_node.instruction import Status
from nav_vlm_node.ros import diagnostics
from nav_vlm_node.ros.diagnostics import ERROR, OK, WARN, Snapshot
from nav_vlm_node.view import View
from nav_vlm_node.vlm.protocol import EngineInfo
from nav_vlm_node.vlm.supervised import EngineStatus

INFO = EngineInfo("embedded", "guide", "cpu", "float32", View(), ("guide",))
ENGINE = EngineStatus(state="ready", pid=12, restarts=0, cause="", memory=400_000_000, start_seconds=2.0)
WELL = Snapshot(
    state="active", info=INFO, engine=ENGINE, image_topic="/image", image_age=0.03, image_rate=30.0, image_count=90,
    image_publishers=1, camera_info=True, counts={Status.OK: 3, Status.ERROR: 0}, last_latency=0.4,
)  # fmt: skip


def levels(snapshot: Snapshot) -> dict[str, tuple[bytes, str]]:
    array = diagnostics.diagnostics_of(snapshot, "nav_vlm")
    assert all(status.name.startswith("nav_vlm: ") for status in array.status)
    return {status.name.removeprefix("nav_vlm: "): (status.level, status.message) for status in array.status}


def test_all_is_well() -> None:
    found = levels(WELL)
    assert list(found) == ["model", "engine process", "image", "answers", "memory"]
    assert {level for level, _ in found.values()} <= {OK, WARN}  # WARN: this machine may be short of memory
    assert found["model"] == (OK, "ready")
    values = {pair.key: pair.value for pair in diagnostics.model_status(WELL).values}
    assert values == {"state": "active", "model": "embedded", "adapter": "guide", "device": "cpu", "dtype": "float32"}


def test_the_model() -> None:
    assert levels(replace(WELL, info=None, state="unconfigured"))["model"][0] == WARN
    assert levels(replace(WELL, state="inactive"))["model"][0] == WARN
    assert "switched off" in levels(replace(WELL, enabled=False))["model"][1]
    level, message = levels(replace(WELL, fault="configure failed: no model"))["model"]
    assert (level, message) == (ERROR, "configure failed: no model")


def test_the_engine_process() -> None:
    assert levels(WELL)["engine process"] == (OK, "ready")
    level, message = levels(replace(WELL, engine=replace(ENGINE, state="restarting", pid=None, cause="signal 9")))[
        "engine process"
    ]
    assert level == ERROR
    assert "signal 9" in message
    assert levels(replace(WELL, engine=None))["engine process"] == (OK, "in the node's own process")
    assert levels(replace(WELL, engine=None, info=None))["engine process"] == (OK, "not started")


def test_the_image() -> None:
    assert levels(WELL)["image"] == (OK, "images arrive")
    level, message = levels(replace(WELL, image_age=math.nan, image_publishers=1))["image"]
    assert level == ERROR
    assert "no image on /image: 1 publishers" in message
    assert "QoS" in message
    assert levels(replace(WELL, image_age=2.0))["image"][0] == ERROR
    assert levels(replace(WELL, image_age=-2.0))["image"][0] == ERROR
    assert levels(replace(WELL, image_problem="step 3"))["image"] == (WARN, "step 3")
    assert "camera_hfov" in levels(replace(WELL, camera_info=False))["image"][1]


def test_the_answers() -> None:
    assert levels(WELL)["answers"] == (OK, "waiting for a question")
    assert levels(replace(WELL, busy=True))["answers"] == (OK, "answering")
    assert levels(replace(WELL, counts={Status.ERROR: 2}))["answers"] == (WARN, "2 errors")


def test_memory() -> None:
    values = {pair.key: float(pair.value) for pair in diagnostics.memory_status(WELL).values}
    assert values["node_bytes"] > 1e6
    assert values["engine_bytes"] == 400e6
    assert values["available_bytes"] > 0
