"""One question with its answer and its pictures, as they are or mirrored: words and pictures from one switch."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from nav_vlm_node.view import View
from nav_vlm_training.augment.mirror import mirrored_text, swap_sides
from nav_vlm_training.data.samples import Pictures, Sample

Image = npt.NDArray[np.uint8]
LEVEL_YAW = math.radians(1)  # of a camera that looks where the wearer faces


@dataclass(frozen=True)
class Example:
    """What one row of a batch is made of.

    said, told: question and answer about the pictures as they were taken; `question` and `answer` are those about the
    pictures as they are shown. mirrored: the scene is shown, asked about and answered as its mirror image. There is no
    way to mirror the one without the other. light: number of a change of light, 0 for none.
    """

    sample: Sample
    said: str
    told: str
    mirrored: bool = False
    light: int = 0

    @property
    def question(self) -> str:
        """As it is asked about the pictures that are shown."""
        return swap_sides(self.said) if self.mirrored else self.said

    @property
    def answer(self) -> str:
        """As it is right for the pictures that are shown."""
        return swap_sides(self.told) if self.mirrored else self.told

    def images(self, pictures: Pictures, frames: int = 1) -> list[Image]:
        """The last `frames` pictures as the model sees them, see `Sample.frames`; uint8 [H, W, 3] each.

        Raises UserError.
        """
        shown = [pictures(replace(self.sample, image=name)) for name in self.sample.frames(frames)]
        return [np.ascontiguousarray(image[:, ::-1]) for image in shown] if self.mirrored else shown


def can_be_mirrored(example: Example, view: View) -> bool:
    """Whether the mirrored picture shows the mirrored scene, and the words can be mirrored for certain.

    A view that is not rectified is centred on the camera's axis: worn askew, its mirror image is another view.
    """
    askew = view.projection == "squash" and abs(example.sample.rig.camera_yaw) > LEVEL_YAW
    words = (example.said, example.told)
    return not askew and all(mirrored_text(text) is not None for text in words)
