"""Pictures from disk, for tests."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt


def decoded(data: bytes) -> npt.NDArray[np.uint8]:
    """uint8 RGB [H, W, 3] of a PNG or JPEG."""
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return np.ascontiguousarray(image[..., ::-1]).astype(np.uint8)


def picture(path: Path) -> npt.NDArray[np.uint8]:
    """uint8 RGB [H, W, 3] of a file."""
    return decoded(path.read_bytes())
