"""What the walker's camera sees of a building."""

from __future__ import annotations

from nav_vlm_sim.records import shoot
from nav_vlm_sim.scene import Pose
from nav_vlm_sim.walks.building import Building
from nav_vlm_sim.walks.crowd import Crowd
from nav_vlm_sim.walks.episode import Picture
from nav_vlm_sim.walks.rig import CAMERA, RIG
from nav_vlm_sim.world import BUILDING_POOL, SCENES_PER_WORLD, World

FIRST_WORLD = 4_000_000  # of surface patterns that only buildings have


def number_of(building: Building) -> int:
    """Of the world whose surface patterns a building has."""
    return FIRST_WORLD + building.plan.seed // SCENES_PER_WORLD


def world_of(building: Building) -> World:
    """One that a building can be loaded into. Close it."""
    return World(number_of(building), building.scene.family, BUILDING_POOL)


class Painter:
    """Draws buildings, one at a time. Close it, or use it as a context manager. One thread only (OpenGL)."""

    def __init__(self) -> None:
        self._world: tuple[int, World] | None = None
        self._building: Building | None = None

    def __enter__(self) -> Painter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Frees the graphics context."""
        if self._world is not None:
            self._world[1].close()
        self._world = self._building = None

    def __call__(self, building: Building, crowd: Crowd, pose: Pose) -> Picture:
        """uint8 RGB [CAMERA.height, CAMERA.width, 3]: with everybody where they are, in the light of the room."""
        number = number_of(building)
        if self._world is None or self._world[0] != number:
            self.close()
            self._world = number, world_of(building)
        world = self._world[1]
        if building is not self._building or crowd.people:
            world.load(crowd.scene())
            self._building = building
        world.light(building.lights_at(pose.x, pose.y))
        return shoot(world, pose, CAMERA, RIG).rgb
