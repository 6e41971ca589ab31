"""A camera in Gazebo Classic in place of MuJoCo's, for walks: the wearer is carried from picture to picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nav_vlm_node.view import Camera, Rig
from nav_vlm_sim.gazebo.bodies import bodies, slug
from nav_vlm_sim.gazebo.export import export
from nav_vlm_sim.gazebo.rig import Worn
from nav_vlm_sim.gazebo.simulators import CLASSIC, WEARER
from nav_vlm_sim.scene import Pose
from nav_vlm_sim.walks.building import Building, build
from nav_vlm_sim.walks.crowd import Crowd
from nav_vlm_sim.walks.floorplan import FloorPlan
from nav_vlm_sim.walks.rig import CAMERA, RIG
from tests.gazebo_classic.server import GazeboClassic
from tests.gazebo_classic.transport import PATIENCE
from tests.gazebo_classic.turns import Placed, standing, wearer_of


class ClassicCamera:
    """Exports a plan to a new folder in `work`, starts it there, and looks at it. Use it as a context manager.

    Physics is off: who walks is moved by the walk, not by Gazebo. As a function it is what `episode.Stage` draws with.
    """

    def __init__(
        self, plan: FloorPlan, work: Path, camera: Camera = CAMERA, rig: Rig = RIG, *, silhouettes: bool = False,
        patience: float = PATIENCE,
    ) -> None:  # fmt: skip
        self.building = build(plan)
        self._rig = rig
        folder, self.log = work / "world", work / "gazebo.log"
        export(plan, folder, CLASSIC, worn=Worn(camera=camera, rig=rig), silhouettes=silhouettes)
        self._names = {body.item: body.name for body in bodies(self.building)}
        self._there: dict[str, Placed] = {}
        self.stamp = 0.0  # Gazebo's time of the newest picture, seconds
        self._gazebo = GazeboClassic(folder, slug(plan.name), self.log, patience)

    def __enter__(self) -> ClassicCamera:
        self._there.clear()
        self._gazebo.__enter__()
        try:
            self._gazebo.without_physics()
            self._gazebo.look()
        except BaseException:
            self._gazebo.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._gazebo.__exit__()

    def __call__(self, building: Building, crowd: Crowd, pose: Pose) -> npt.NDArray[np.uint8]:
        """uint8 RGB [H, W, 3]. building: of the same plan."""
        assert building.plan == self.building.plan, "this Gazebo shows another plan"
        return self.capture(pose, {person.item: (person.x, person.y, person.heading) for person in crowd.people})

    def capture(
        self, pose: Pose, people: Mapping[int, tuple[float, float, float]] | None = None
    ) -> npt.NDArray[np.uint8]:
        """uint8 RGB [H, W, 3] from there. people: x, y [m] and yaw [rad] of items that are elsewhere now."""
        for item, (x, y, yaw) in (people or {}).items():
            self._put(self._names[item], standing(x, y, yaw))
        self._put(WEARER, wearer_of(pose, self._rig))
        picture = self._gazebo.look()
        self.stamp = picture.stamp
        return picture.rgb

    def steps(self, more: int) -> tuple[int, int]:
        """After so many more steps of 4 ms: how many the world has made in all, and how many it was asked for."""
        self._gazebo.step(more)
        return self._gazebo.rest(), self._gazebo.asked

    def _put(self, name: str, where: Placed) -> None:
        if self._there.get(name) != where:
            self._gazebo.place(name, where)
            self._there[name] = where
