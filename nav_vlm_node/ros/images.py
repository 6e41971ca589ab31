"""sensor_msgs/Image to uint8 RGB: every encoding that cv_bridge knows, and the newer names of sensor_msgs.

First the message's own array: size, `step` and byte order are checked and honoured here, because neither
converter does so for all. Then the colours, by cv_bridge where a ROS installation has it, else by rosbags-image;
both end in the same OpenCV conversions. Encodings that neither converts are finished here.

What an encoding without colours means is a choice, OpenCV's where there is one: 1 channel is gray, 2 are gray and
something, 3 are blue, green, red, 4 are those and alpha; integers use their whole positive range, floats 0 to 1.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from nav_vlm_node.errors import UserError
from nav_vlm_node.frames import MAX_PIXELS, SMALLEST, Image

Raw = npt.NDArray[Any]
Converter = Callable[[Raw, str, str], Raw]  # (array, its encoding, wanted encoding) -> array


class ImageMessage(Protocol):
    """What is used of sensor_msgs/Image."""

    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: Any


# encoding -> (dtype, channels, colour name that the converters know at this depth)
_NAMED: dict[str, tuple[str, int]] = {
    "rgb8": ("u1", 3), "rgba8": ("u1", 4), "rgb16": ("u2", 3), "rgba16": ("u2", 4),
    "bgr8": ("u1", 3), "bgra8": ("u1", 4), "bgr16": ("u2", 3), "bgra16": ("u2", 4),
    "mono8": ("u1", 1), "mono16": ("u2", 1),
    "bayer_rggb8": ("u1", 1), "bayer_bggr8": ("u1", 1), "bayer_gbrg8": ("u1", 1), "bayer_grbg8": ("u1", 1),
    "bayer_rggb16": ("u2", 1), "bayer_bggr16": ("u2", 1), "bayer_gbrg16": ("u2", 1), "bayer_grbg16": ("u2", 1),
    "yuv422": ("u1", 2), "yuv422_yuy2": ("u1", 2),
}  # fmt: skip
_ALIASES = {"uyvy": "yuv422", "yuyv": "yuv422_yuy2", "rgb": "rgb8", "bgr": "bgr8", "8uc": "8uc1"}
_PLANAR = ("nv12", "nv21", "nv24")  # luminance, then half-size (24: full-size) pairs of chrominance
_GENERIC = re.compile(r"(8|16|32|64)(U|S|F)(?:C([1-9]|[1-9][0-9]))?")
_GENERIC_TYPES = {"8U": "u1", "8S": "i1", "16U": "u2", "16S": "i2", "32S": "i4", "32F": "f4", "64F": "f8"}
_GENERIC_COLOURS = {1: "mono8", 2: "mono8", 3: "bgr8", 4: "bgra8"}

ENCODINGS: tuple[str, ...] = (
    *_NAMED, "uyvy", "yuyv", *_PLANAR, *(f"{kind}C{channels}" for kind in _GENERIC_TYPES for channels in (1, 2, 3, 4)),
)  # fmt: skip


def image_from_ros(message: ImageMessage, converter: Converter | None = None) -> Image:
    """uint8 [height, width, 3] RGB of a sensor_msgs/Image; rgb8 without padding is not copied.

    converter: for tests; the installed one if None.
    Raises UserError, in one line, for a size, step or encoding that cannot be right.
    """
    height, width = int(message.height), int(message.width)
    encoding = _ALIASES.get(message.encoding.lower(), message.encoding)
    if not 0 < height * width <= MAX_PIXELS or min(height, width) < SMALLEST:
        raise UserError(
            f"image of {width}x{height} pixels; send {SMALLEST}x{SMALLEST} to {MAX_PIXELS // 10**6} megapixels"
        )
    if encoding in _PLANAR:
        return _from_planes(_rows_of(message, "u1", 1, _plane_rows(encoding, height, width))[..., 0], encoding, height)
    generic = _GENERIC.fullmatch(encoding)
    if generic is not None and generic[1] + generic[2] in _GENERIC_TYPES:
        return _from_generic(message, generic, converter)
    if encoding not in _NAMED:
        raise UserError(
            f"image encoding {message.encoding[:40]!r} is not supported; send rgb8, bgr8, mono8, yuv422_yuy2, ..."
        )
    if encoding.startswith("yuv") and width % 2:
        raise UserError(f"{encoding} image of odd width {width}; two pixels share a colour, send an even width")
    dtype, channels = _NAMED[encoding]
    array = _rows_of(message, dtype, channels, height)
    return _to_rgb8(array[..., 0] if channels == 1 else array, encoding, converter)


def _rows_of(message: ImageMessage, dtype: str, channels: int, rows: int) -> Raw:
    """[rows, width, channels] view of the message's bytes, in this machine's byte order."""
    width, step = int(message.width), int(message.step)
    kind = np.dtype(dtype).newbyteorder(">" if message.is_bigendian else "<")
    row_bytes = width * channels * kind.itemsize
    if step < row_bytes:
        raise UserError(
            f"image step {step} is under the {row_bytes} bytes of {width} {message.encoding} pixels; correct the driver"
        )
    data = np.frombuffer(message.data, np.uint8)
    if len(data) < step * rows:
        raise UserError(
            f"image data has {len(data)} bytes, {step} x {rows} rows need {step * rows}; correct the driver"
        )
    padded = data[: step * rows].reshape(rows, step)[:, :row_bytes]
    if kind.itemsize > 1:
        padded = np.ascontiguousarray(padded)
    array = padded.view(kind).reshape(rows, width, channels)
    return array if kind.isnative else array.astype(kind.newbyteorder("="))


def _to_rgb8(array: Raw, encoding: str, converter: Converter | None) -> Image:
    """Colours at the message's own depth, then down to 8 bits, so that both converters round alike."""
    wanted = "rgb16" if array.dtype == np.uint16 else "rgb8"
    if encoding != wanted:
        array = (converter or installed_converter())(np.ascontiguousarray(array), encoding, wanted)
    if wanted == "rgb16":
        return _scaled(array, 65535)
    return np.ascontiguousarray(array, np.uint8)


def _from_generic(message: ImageMessage, match: re.Match[str], converter: Converter | None) -> Image:
    kind, channels = match[1] + match[2], int(match[3] or 1)
    if channels not in _GENERIC_COLOURS:
        raise UserError(f"image encoding {message.encoding!r} has {channels} channels; send 1 to 4")
    array = _rows_of(message, _GENERIC_TYPES[kind], channels, int(message.height))
    if kind != "8U":
        highest = 1 if kind.endswith("F") else int(np.iinfo(array.dtype).max)
        array = _scaled(array, highest)
    array = array[..., 0] if channels <= 2 else array
    return _to_rgb8(array, _GENERIC_COLOURS[channels], converter)


def _scaled(array: Raw, highest: int) -> Image:
    """`array` 0..highest to 0..255, rounded; what lies outside is clipped, NaN is 0."""
    with np.errstate(invalid="ignore", over="ignore"):
        scaled = np.nan_to_num(
            array.astype(np.float32) * np.float32(255.0 / highest), nan=0.0, posinf=255.0, neginf=0.0
        )
    return np.asarray(np.rint(scaled).clip(0, 255).astype(np.uint8))


def _plane_rows(encoding: str, height: int, width: int) -> int:
    if encoding == "nv24":
        return 3 * height
    if height % 2 or width % 2:
        raise UserError(f"{encoding} image of {width}x{height}; four pixels share a colour, send even sizes")
    return height + height // 2


def _from_planes(planes: npt.NDArray[np.uint8], encoding: str, height: int) -> Image:
    """[rows, width] luminance over interleaved chrominance, which no converter here takes whole."""
    import cv2

    planes = np.ascontiguousarray(planes)
    if encoding == "nv24":
        pairs = planes[height:].reshape(height, -1, 2)
        return np.asarray(cv2.cvtColor(_studio_to_full(planes[:height], pairs), cv2.COLOR_YUV2RGB), np.uint8)
    code = cv2.COLOR_YUV2RGB_NV12 if encoding == "nv12" else cv2.COLOR_YUV2RGB_NV21
    return np.asarray(cv2.cvtColor(planes, code), np.uint8)


def _studio_to_full(luma: npt.NDArray[np.uint8], pairs: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """BT.601 studio range (16..235), as nv12 and yuv422 have it, to the full range of OpenCV's plain YUV [H, W, 3]."""
    y = (luma.astype(np.float32) - 16.0) * np.float32(255 / 219)
    u, v = np.moveaxis((pairs.astype(np.float32) - 128.0) * np.float32(255 / 224), -1, 0)
    # OpenCV's plain YUV is analog: U = 0.492 (B - Y), V = 0.877 (R - Y); Cb, Cr are 0.564 (B - Y), 0.713 (R - Y).
    full = np.stack([y, u * np.float32(0.492 / 0.564) + 128.0, v * np.float32(0.877 / 0.713) + 128.0], axis=-1)
    return np.asarray(np.rint(full).clip(0, 255).astype(np.uint8))


@functools.lru_cache(maxsize=1)
def installed_converter() -> Converter:
    """cv_bridge's colour conversion where it works (a ROS built for another numpy does not), else rosbags-image's."""
    try:
        return cv_bridge_converter()
    except (ImportError, AttributeError):
        return rosbags_converter()


def cv_bridge_converter() -> Converter:
    """Raises ImportError, or AttributeError with a numpy that cv_bridge was not built for."""
    from cv_bridge.boost.cv_bridge_boost import cvtColor2

    def convert(array: Raw, encoding: str, wanted: str) -> Raw:
        return np.asarray(cvtColor2(array, encoding, wanted))

    return convert


def rosbags_converter() -> Converter:
    """Raises UserError where it is not installed."""
    try:
        from rosbags.image.image import convert_color
    except ImportError as error:
        raise UserError(
            f"neither cv_bridge nor rosbags-image works here ({error}); install ros-$ROS_DISTRO-cv-bridge"
        ) from error
    return convert_color
