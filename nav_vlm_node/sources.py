"""Pictures from a camera, a video, an image file or a folder of images, one after the other. No ROS here.

with open_source("/dev/video0") as source:
    for image in source.pictures():  # uint8 [H, W, 3] RGB
        ...
"""

from __future__ import annotations

import logging
import math
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from nav_vlm_node.errors import UserError
from nav_vlm_node.frames import Image, decode_compressed

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
IMAGES_RATE = 10.0  # images of a folder a second, where nobody says how many
_logger = logging.getLogger(__name__)


class Source(Protocol):
    """Where pictures come from.

    name: for people. rate: pictures a second at which to show them; of a camera, what it says of itself, or 0.
    live: they come when they come; otherwise as fast as they are asked for.
    """

    name: str
    rate: float
    live: bool

    def pictures(self, loop: bool = False) -> Iterator[Image]:
        """The pictures, uint8 [H, W, 3] RGB, in order, again and again if `loop`. UserError: a lost camera."""

    def close(self) -> None:
        """Give back what is open. Idempotent."""

    def __enter__(self) -> Source: ...

    def __exit__(self, *_: object) -> None: ...


def open_source(source: str) -> Source:
    """The source that this text names: a number or /dev/... is a camera, else a file or a folder.

    Raises UserError, in one line, for what is not there or cannot be read. The first picture has been read then.
    """
    if not source:
        raise UserError("no source; give a camera (0, /dev/video0), a video, an image or a folder of images")
    path = Path(source).expanduser()
    if source.isdigit() or source.startswith("/dev/"):
        return Device(source)
    if path.is_dir():
        return Images(path, _images_in(path))
    if not path.exists():
        raise UserError(f"source {source} is not there; give a camera (0, /dev/video0), a video or a folder of images")
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return Images(path, [path])
    return Video(path)


class _Closing:
    """`with source:` closes it."""

    def close(self) -> None:
        """Nothing to give back, unless a subclass says so."""

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Images(_Closing):
    """Image files in the order of their names; numbers in the names count as numbers."""

    rate = IMAGES_RATE
    live = False

    def __init__(self, path: Path, files: list[Path]) -> None:
        self.name = f"{path} ({len(files)} images)" if path.is_dir() else str(path)
        self._files = files
        _read_image(files[0])

    def pictures(self, loop: bool = False) -> Iterator[Image]:
        """A file that is damaged is left out with a warning; if all are, UserError."""
        while True:
            shown = 0
            for file in self._files:
                try:
                    image = _read_image(file)
                except UserError as error:
                    _logger.warning("left out: %s", error)
                    continue
                shown += 1
                yield image
            if not shown:
                raise UserError(f"{self.name}: no image can be read any more")
            if not loop:
                return


class Video(_Closing):
    """A video file, as far as OpenCV can decode it."""

    live = False

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path
        self._capture = _capture(str(path))
        if not self._capture.isOpened() or _next(self._capture) is None:
            self.close()
            raise UserError(
                f"{path} is no video that OpenCV can decode; convert it, as in: ffmpeg -i {path.name} out.mp4"
            )
        rate = float(_property(self._capture, "FPS"))
        self.rate = rate if math.isfinite(rate) and 0.1 <= rate <= 1000 else 25.0

    def pictures(self, loop: bool = False) -> Iterator[Image]:
        """From the beginning."""
        while True:
            self._capture.release()
            self._capture = _capture(str(self._path))
            shown = 0
            while (image := _next(self._capture)) is not None:
                shown += 1
                yield image
            if not shown:
                raise UserError(f"{self.name} can no longer be read")
            if not loop:
                return

    def close(self) -> None:
        self._capture.release()


class Device(_Closing):
    """A camera that the operating system knows: its number, or its path."""

    live = True

    def __init__(self, device: str) -> None:
        path = Path(f"/dev/video{device}" if device.isdigit() else device)
        self.name = str(path)
        if not path.exists():
            there = ", ".join(sorted(map(str, Path("/dev").glob("video*")))) or "none"
            raise UserError(f"camera {path} is not there; cameras on this machine: {there}")
        if not os.access(path, os.R_OK | os.W_OK):
            raise UserError(f"camera {path} may not be opened; add yourself to its group: sudo usermod -aG video $USER")
        self._capture = _capture(str(path), camera=True)
        if not self._capture.isOpened() or _next(self._capture) is None:
            self.close()
            raise UserError(f"camera {path} gives no picture; is another program using it, or is it a metadata device?")
        rate = float(_property(self._capture, "FPS"))
        self.rate = rate if math.isfinite(rate) and 0.1 <= rate <= 1000 else 0.0

    def pictures(self, loop: bool = False) -> Iterator[Image]:
        """Until the camera is lost, which raises UserError."""
        while (image := _next(self._capture)) is not None:
            yield image
        raise UserError(f"camera {self.name} gives no more pictures; is it still plugged in?")

    def close(self) -> None:
        self._capture.release()


def _images_in(folder: Path) -> list[Path]:
    found = [path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()]
    if not found:
        raise UserError(f"folder {folder} holds no image; give one with {', '.join(IMAGE_SUFFIXES)} files")
    return sorted(found, key=lambda path: [int(part) if part.isdigit() else part for part in _parts(path.name)])


def _parts(name: str) -> list[str]:
    """Text and numbers in turn, text first: they compare."""
    return re.split(r"(\d+)", name)


def _read_image(path: Path) -> Image:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror})") from None
    try:
        return decode_compressed(data, layout=path.suffix, exif=True)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _capture(what: str, camera: bool = False) -> Any:
    """OpenCV's reader, which must not print warnings of its own: the caller says in one line what is wrong."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    import cv2

    log = getattr(getattr(cv2, "utils", None), "logging", None)  # not in every distribution's OpenCV
    if log is not None:
        log.setLogLevel(log.LOG_LEVEL_SILENT)
    return cv2.VideoCapture(what, cv2.CAP_V4L2 if camera else cv2.CAP_ANY)


def _next(capture: Any) -> Image | None:
    import cv2

    good, picture = capture.read()
    if not good or picture is None or picture.ndim != 3:
        return None
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)


def _property(capture: Any, name: str) -> float:
    import cv2

    return float(capture.get(getattr(cv2, f"CAP_PROP_{name}")))
