"""sensor_msgs/CameraInfo to a `Camera`. No ROS here: bags are read without it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from nav_vlm_node.errors import UserError
from nav_vlm_node.view import Camera


class CameraInfoMessage(Protocol):
    """What is used of sensor_msgs/CameraInfo."""

    width: int
    height: int
    distortion_model: str
    d: Sequence[float]
    k: Sequence[float]
    roi: Any


def camera_from_ros(message: CameraInfoMessage, width: int, height: int) -> Camera | None:
    """The camera of a picture of width x height; None where camera_info is there but not filled in (fx = 0).

    A camera_info of another resolution is scaled where its shape agrees, for pictures that were resized on the way.
    Raises UserError where they cannot belong together, or the numbers make no sense.
    """
    if message.k[0] == 0.0:  # sensor_msgs/CameraInfo: "K[0] = 0.0 is uncalibrated"
        return None
    offset_x, offset_y, across, down = _sampled_window(message)
    if across * height != down * width and abs(across * height / (down * width) - 1) > 0.01:
        raise UserError(
            f"camera_info is for {message.width}x{message.height} and the image has {width}x{height} pixels; "
            "make them agree"
        )
    sx, sy = width / across, height / down
    return Camera(
        width=width,
        height=height,
        fx=float(message.k[0]) * sx,
        fy=float(message.k[4]) * sy,
        cx=(float(message.k[2]) - offset_x + 0.5) * sx - 0.5,
        cy=(float(message.k[5]) - offset_y + 0.5) * sy - 0.5,
        distortion_model=message.distortion_model if any(message.d) else "plumb_bob",
        d=tuple(float(value) for value in message.d) if any(message.d) else (),
    )


def _sampled_window(message: CameraInfoMessage) -> tuple[int, int, int, int]:
    """(x, y, width, height) in full-resolution pixels of what the image shows, by the region of interest."""
    roi = message.roi
    if roi.width and roi.height:
        return roi.x_offset, roi.y_offset, roi.width, roi.height
    return 0, 0, max(1, message.width), max(1, message.height)
