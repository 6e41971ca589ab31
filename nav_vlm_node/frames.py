"""Camera pictures on their way to the model: `Frame`, the newest-one `Mailbox`, decoding, quality.

Nothing here knows ROS. A camera delivers 30 pictures a second and a question needs one, so pictures wait undecoded
in a one-slot mailbox, and only the one that is looked at is decoded, straight into the array that is used.
"""

from __future__ import annotations

import math
import struct
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from nav_vlm_node.errors import UserError
from nav_vlm_node.replies import BLURRED, COVERED, TOO_BRIGHT, TOO_DARK
from nav_vlm_node.view import Camera

Image = npt.NDArray[np.uint8]
T = TypeVar("T")

SMALLEST = 2  # pixels each way: less has no edge to judge
MAX_PIXELS = 64_000_000  # more is a damaged header or an attack, not a camera
PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8\xff"


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture: `image` uint8 [H, W, 3] RGB, `stamp` seconds by the node's clock, `camera` None if unknown."""

    image: Image
    stamp: float = math.nan
    frame_id: str = ""
    camera: Camera | None = None


class Mailbox(Generic[T]):
    """One slot that holds the newest thing only. Thread-safe; a reader waits on a condition, never by polling."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._item: T | None = None
        self._count = 0

    @property
    def count(self) -> int:
        """How many things have been put in so far."""
        return self._count

    def put(self, item: T) -> None:
        """Replace what is in the slot."""
        with self._condition:
            self._item = item
            self._count += 1
            self._condition.notify_all()

    def clear(self) -> None:
        """Empty the slot: what was in it is of another time."""
        with self._condition:
            self._item = None

    def newest(self) -> T | None:
        """What is in the slot; it stays there."""
        with self._condition:
            return self._item

    def wait_for(self, good: Callable[[T], bool], timeout: float, stop: threading.Event | None = None) -> T | None:
        """The first item that is `good`: the one in the slot, or one that comes within `timeout` seconds of real time.

        None when none came, or `stop` was set (then call `wake`).
        """
        deadline = time.monotonic() + timeout
        with self._condition:
            while not (stop is not None and stop.is_set()):
                if self._item is not None and good(self._item):
                    return self._item
                left = deadline - time.monotonic()
                if left <= 0:
                    return None
                self._condition.wait(left)
        return None

    def wake(self) -> None:
        """Let the waiting readers look at their `stop` event."""
        with self._condition:
            self._condition.notify_all()


def due_in(arrivals: Sequence[float], now: float) -> float:
    """Seconds to wait for the next picture of a steady camera, where it is due within half a period; else 0.

    arrivals: times of the last pictures, oldest first, by the same clock as `now`. So a picture is at most about half a
    period old when the model gets it, and the answer is late by a quarter of that on average.
    """
    if len(arrivals) < 6:
        return 0.0
    period = (arrivals[-1] - arrivals[0]) / (len(arrivals) - 1)
    since = now - arrivals[-1]
    if not 0.0 < period <= 0.1 or not 0.5 * period < since < 1.25 * period:
        return 0.0
    return 1.25 * period - since  # a quarter of a period for the camera's unsteadiness


def decode_compressed(
    data: bytes | memoryview | npt.NDArray[np.uint8], *, layout: str = "", exif: bool = False
) -> Image:
    """A jpeg or png file's bytes as uint8 [H, W, 3] RGB.

    layout: the `format` of sensor_msgs/CompressedImage ("jpeg", "rgb8; jpeg compressed bgr8"), for the message and
    for the rare publisher that swapped red and blue before compressing ("compressed rgb8").
    exif: turn the picture as its EXIF tag says (photographs do; a camera topic must agree with its camera_info).
    Raises UserError for anything else.
    """
    buffer = np.frombuffer(data, np.uint8)
    head = buffer[:65536].tobytes()
    width, height = _size_of(head, layout)
    if not 0 < width * height <= MAX_PIXELS:
        raise UserError(
            f"compressed picture claims {width}x{height} pixels; send at most {MAX_PIXELS // 10**6} megapixels"
        )
    # OpenCV gives out what there is of a file that was cut off, black or gray below: half a corridor.
    whole = (b"IEND" if head.startswith(PNG) else b"\xff\xd9") in buffer[-4096:].tobytes()
    image = _decode_cv2(buffer, exif) if whole else None
    if image is None:
        raise UserError(f"compressed picture of {len(buffer)} bytes is damaged; check the link to the camera")
    height, width = image.shape[:2]
    if min(height, width) < SMALLEST:
        raise UserError(f"compressed picture of {width}x{height} pixels; send at least {SMALLEST}x{SMALLEST}")
    return np.ascontiguousarray(image[..., ::-1]) if "compressed rgb" in layout else image


def _decode_cv2(buffer: npt.NDArray[np.uint8], exif: bool) -> Image | None:
    import cv2

    flags = 0 if exif else cv2.IMREAD_IGNORE_ORIENTATION
    try:
        if hasattr(cv2, "IMREAD_COLOR_RGB"):  # OpenCV 4.11: saves a pass over the picture
            return _uint8(cv2.imdecode(buffer, flags | cv2.IMREAD_COLOR_RGB))
        image = cv2.imdecode(buffer, flags | cv2.IMREAD_COLOR)
        return None if image is None else _uint8(cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image))
    except cv2.error:
        return None


def _uint8(image: object) -> Image | None:
    return None if image is None else np.asarray(image, np.uint8)


def _size_of(head: bytes, layout: str) -> tuple[int, int]:
    """(width, height) from a png or jpeg header; (1, 1) where a jpeg's lies beyond `head`."""
    if head.startswith(PNG) and len(head) >= 24:
        width, height = struct.unpack(">II", head[16:24])
        return width, height
    if not head.startswith(JPEG):
        raise UserError(
            f"compressed picture (format {layout[:60]!r}, {len(head)} bytes) is neither jpeg nor png; send one of those"
        )
    at = 2
    while at + 9 <= len(head) and head[at] == 0xFF:
        marker, length = head[at + 1], int.from_bytes(head[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # start of frame, ITU-T T.81 table B.1
            height, width = struct.unpack(">HH", head[at + 5 : at + 9])
            return width, height
        at += 2 + max(length, 2) if marker != 0xFF else 1
    return 1, 1


@dataclass(frozen=True, kw_only=True)
class QualityLimits:
    """Below these a picture is not looked at. 0 switches a check off.

    darkness, brightness: luminance 0..255 under which (over which) 99 % of the picture lies.
    contrast: standard deviation of luminance under which the picture is blank or covered.
    sharpness: steepest change per pixel over the contrast, see `sharpness_of`.
    """

    darkness: float = 30.0
    brightness: float = 250.0
    contrast: float = 4.0
    sharpness: float = 0.25


def quality_problem(image: Image, limits: QualityLimits) -> str | None:
    """Why nobody should answer from this picture, as a sentence to speak; None where it will do.

    image: uint8 [H, W, 3] RGB. It is judged at a width of at most 320, where sensor noise is averaged out.
    """
    gray = _small_gray(image)
    low, high = np.percentile(gray, (1, 99))
    if high < limits.darkness:
        return TOO_DARK
    if limits.brightness and low > limits.brightness:
        return TOO_BRIGHT
    if gray.std() < limits.contrast:
        return COVERED
    if sharpness_of(gray) < limits.sharpness:
        return BLURRED
    return None


def sharpness_of(gray: npt.NDArray[np.float32]) -> float:
    """How sharp the sharpest edges are, about 0 (blurred) to 2, whatever the light: gray [H, W] luminance.

    The 99.8th percentile of the gradient over the standard deviation: a plain wall with one door frame is sharp, the
    same wall moved during exposure is not.
    """
    across, down = np.abs(np.diff(gray, axis=1)), np.abs(np.diff(gray, axis=0))
    steepest = max(float(np.percentile(across, 99.8)), float(np.percentile(down, 99.8)))
    return steepest / max(float(gray.std()), 1e-6)


def _small_gray(image: Image) -> npt.NDArray[np.float32]:
    import cv2

    height, width = image.shape[:2]
    if max(height, width) > 320:
        factor = 320 / max(height, width)
        size = (max(2, round(width * factor)), max(2, round(height * factor)))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    weights = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601 luma
    return np.asarray(image.astype(np.float32) @ weights)
