"""The exported world in current Gazebo (gz sim), where one is installed: a frame of its camera against MuJoCo's."""

from __future__ import annotations

import base64
import json
import math
import os
import shutil
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest

from nav_vlm_node.view import Camera
from nav_vlm_sim.gazebo.export import WORLD, export
from nav_vlm_sim.gazebo.rig import Worn
from nav_vlm_sim.gazebo.simulators import WEARER
from nav_vlm_sim.gazebo.world import start_of
from nav_vlm_sim.scene import Pose
from nav_vlm_sim.walks.building import build
from nav_vlm_sim.walks.procedural import plan_of
from nav_vlm_sim.world import BUILDING_POOL, World
from tests.nav_vlm_sim.gazebo.silhouettes import LEAST, Picture, agreement, items_by_likeness, worst

PATIENCE = 120.0  # seconds


def missing() -> str:
    """Why no gz sim can be started here; "" where it can."""
    if not shutil.which("gz"):
        return "gz: no gz sim (Gazebo Harmonic or newer) on this machine"
    done = subprocess.run(["gz", "sim", "--versions"], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else "gz: the gz that is installed has no sim"


def frame_of(message: str) -> Picture:
    """uint8 RGB [H, W, 3] of a gz.msgs.Image as `gz topic --json-output` prints it."""
    found = json.loads(message)
    width, height = int(found["width"]), int(found["height"])
    rows = np.frombuffer(base64.b64decode(found["data"]), np.uint8).reshape(height, int(found["step"]))
    return np.ascontiguousarray(rows[:, : 3 * width].reshape(height, width, 3))


def test_a_printed_frame_is_read() -> None:
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    data = base64.b64encode(np.pad(pixels.reshape(2, 9), ((0, 0), (0, 3))).tobytes()).decode()
    message = {"width": 3, "height": 2, "step": 12, "data": data, "pixelFormatType": "RGB_INT8"}
    assert (frame_of(json.dumps(message)) == pixels).all()


@pytest.mark.skipif(bool(missing()), reason=missing() or "it is there")
def test_its_camera_shows_what_mujoco_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GZ_PARTITION", f"nav_vlm_test_{os.getpid()}")
    plan, camera = plan_of(2), Camera.from_fov(480, 360, math.radians(90))
    worn, building = Worn(camera=camera), build(plan)
    export(plan, tmp_path / "world", worn=worn, silhouettes=True)
    words = ["gz", "sim", "-s", "-r", "--headless-rendering", str(tmp_path / "world" / WORLD)]
    log = (tmp_path / "gz.log").open("wb")
    with log, subprocess.Popen(words, stdout=log, stderr=subprocess.STDOUT, start_new_session=True) as gazebo:
        try:
            listen = ["gz", "topic", "-e", "-t", f"/{WEARER}/image", "-n", "20", "--json-output"]
            heard = subprocess.run(listen, capture_output=True, text=True, timeout=PATIENCE, check=True)
        finally:
            os.killpg(gazebo.pid, signal.SIGTERM)  # gz is a launcher; the server is its child
    seen = frame_of(heard.stdout.strip().splitlines()[-1])
    x, y, yaw = start_of(building)
    pose = Pose(x=x, y=y, height=worn.rig.camera_height, yaw=yaw, pitch=worn.rig.camera_pitch, roll=0)
    with World(77, pool=BUILDING_POOL) as world:
        world.load(building.scene)
        wanted = world.render(pose, camera).item
    found = agreement(wanted, items_by_likeness(seen, wanted))
    assert found
    assert worst(found) >= LEAST, (found, (tmp_path / "gz.log").read_text()[-2000:])
