"""Pictures for tests: drawn, so that what they show is known."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]


def room(height: int = 240, width: int = 320) -> Image:
    """uint8 [height, width, 3] RGB: floor, wall, a door on the left, a box on the right; sharp, not symmetric."""
    image = np.empty((height, width, 3), np.uint8)
    rows = np.linspace(0, 1, height)[:, None]
    image[:] = (np.array([170, 165, 150]) - 40 * rows[..., None] * np.ones((1, width, 1))).astype(np.uint8)
    image[int(0.6 * height) :] = (110, 90, 70)
    image[int(0.2 * height) : int(0.7 * height), int(0.15 * width) : int(0.3 * width)] = (120, 60, 30)
    image[int(0.6 * height) : int(0.8 * height), int(0.7 * width) : int(0.85 * width)] = (200, 160, 60)
    return image
