"""A bridge between a real Gazebo Classic and a walk over ROS 2: the node `sim_rig` with Gazebo's camera.

python -m tests.gazebo_classic.bridge --ros-args -p plan:=7 -p work:=FOLDER, in the repository.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nav_vlm_node.errors import UserError
from nav_vlm_node.ros.run import run_nodes
from nav_vlm_sim.ros.rig_node import RigNode
from nav_vlm_sim.scene import Pose
from nav_vlm_sim.walks.building import Building
from nav_vlm_sim.walks.crowd import Crowd
from nav_vlm_sim.walks.episode import Picture
from nav_vlm_sim.walks.floorplan import FloorPlan
from tests.gazebo_classic.camera import ClassicCamera

SILENCE = 20.0  # seconds after which Gazebo counts as hanging; the walker waits for 60
PICTURES, READY = "pictures.jsonl", "ready"


class ClassicEye:
    """Pictures by Gazebo Classic; PICTURES in `work` says of each from where it was taken, by which Gazebo, and at what
    time of its.

    A Gazebo that hangs is started afresh, once for each picture.
    """

    def __init__(self) -> None:
        self._camera: ClassicCamera | None = None
        self._starts = 1

    def open(self, plan: FloorPlan, work: Path) -> None:
        """Starts Gazebo with this plan. Raises AssertionError where it does not start."""
        self._camera = ClassicCamera(plan, work, patience=SILENCE).__enter__()
        self._log = (work / PICTURES).open("a", encoding="utf-8")

    def __call__(self, building: Building, crowd: Crowd, pose: Pose) -> Picture:
        """uint8 RGB [H, W, 3]."""
        assert self._camera is not None, "the eye is shut"
        try:
            picture = self._camera(building, crowd, pose)
        except AssertionError:
            self._camera.__exit__()
            self._camera.__enter__()
            self._starts += 1
            picture = self._camera(building, crowd, pose)
        self._log.write(json.dumps({"start": self._starts, "stamp": self._camera.stamp, "pose": asdict(pose)}) + "\n")
        self._log.flush()
        return picture

    def close(self) -> None:
        """Ends Gazebo."""
        if self._camera is not None:
            self._camera.__exit__()
            self._log.close()
        self._camera = None


class ClassicBridgeNode(RigNode):
    """As RigNode, but what `image` shows is Gazebo Classic's.

    Parameter `work`: an empty folder for the world, Gazebo's log, and PICTURES; READY is there once Gazebo runs.
    """

    def __init__(self, **node_arguments: Any) -> None:
        eye = ClassicEye()
        super().__init__(draw=eye, **node_arguments)
        named = str(self.declare_parameter("work", "").value)
        work = Path(named)
        if not named or not work.is_dir() or any(work.iterdir()):
            raise UserError(f"work is {named!r}: give an empty folder")
        try:
            eye.open(self.stage.building.plan, work)
        except BaseException:
            eye.close()
            raise
        (work / READY).touch()


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the node until SIGINT or SIGTERM. Returns the exit status; 2 after one line that says what is wrong."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return run_nodes(lambda: [ClassicBridgeNode()], ["bridge", *words])
    except (UserError, AssertionError) as error:
        print(f"bridge: error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    raise SystemExit(main())
