"""A simulated worn camera: pictures of indoor scenes by seed, at any resolution, with their truth."""

from __future__ import annotations

import math

from nav_vlm_node.view import Camera, Rig, View
from nav_vlm_sim.records import Frame, take_frame
from nav_vlm_sim.scene import Scene, sample_scene
from nav_vlm_sim.world import SCENES_PER_WORLD, World


class SimulatedCamera:
    """A camera of its own, worn through many scenes. Close it, or use it as a context manager.

    width, height: pixels of the pictures as delivered, at most 1280. hfov: radians across the delivered picture.
    rig: how it is worn; None for level at 1.4 m with 10 degrees of downward tilt. view: what "visible" refers to in
    the truth; the model's own, from its nav_vlm.json. room, family: as in `scene.sample_scene`.

    Only the thread that takes the first frame may take others (OpenGL). Raises UserError for bad values and where
    nothing can be drawn.
    """

    def __init__(
        self,
        width: int = 640,
        height: int = 480,
        hfov: float = math.pi / 2,
        *,
        rig: Rig | None = None,
        view: View | None = None,
        room: str | None = None,
        family: str = "train",
    ) -> None:
        self.camera = Camera.from_fov(width, height, hfov)
        self.rig = rig or Rig(camera_pitch=math.radians(10))
        self.view = view or View()
        self.room, self.family = room, family
        self._world: tuple[int, World] | None = None
        self._scene: Scene | None = None

    def __enter__(self) -> SimulatedCamera:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Frees the graphics context."""
        if self._world is not None:
            self._world[1].close()
        self._world = self._scene = None

    def frame(self, seed: int, view: int = 0) -> Frame:
        """What the camera sees from the `view`-th place in the scene of this seed; equal for equal arguments.

        `raw` of the frame is the delivered picture, uint8 RGB [height, width, 3]; `observation` is the truth.
        A seed of another world (seed // 48) takes about half a second longer than one of the same world.
        """
        world = self._world_of(seed // SCENES_PER_WORLD)
        if self._scene is None or self._scene.seed != seed:
            self._scene = sample_scene(seed, room=self.room, family=self.family)
            world.load(self._scene)
        return take_frame(world, self._scene, view, self.view, camera=self.camera, rig=self.rig)

    def _world_of(self, number: int) -> World:
        if self._world is None or self._world[0] != number:
            self.close()
            self._world = number, World(number, self.family)
        return self._world[1]
