from __future__ import annotations

import contextlib
import sys
import types
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensor_msgs.msg import Image as ImageMsg

from nav_vlm_node.errors import UserError
from nav_vlm_node.frames import Image
from nav_vlm_node.ros import images
from nav_vlm_node.ros.images import ENCODINGS, Converter, image_from_ros
from tests.pictures import room

HEIGHT, WIDTH = 48, 64
PICTURE = room(HEIGHT, WIDTH)
GRAY: npt.NDArray[np.uint8] = np.asarray(cv2.cvtColor(PICTURE, cv2.COLOR_RGB2GRAY), np.uint8)

# What cv_bridge's cvtColor2 does towards "rgb8" or "rgb16": OpenCV's code for each encoding (getConversionCodes).
CV_BRIDGE_CODES = {
    "mono": cv2.COLOR_GRAY2RGB, "bgr": cv2.COLOR_BGR2RGB, "rgba": cv2.COLOR_RGBA2RGB, "bgra": cv2.COLOR_BGRA2RGB,
    "bayer_rggb": cv2.COLOR_BayerBG2RGB, "bayer_bggr": cv2.COLOR_BayerRG2RGB,
    "bayer_gbrg": cv2.COLOR_BayerGR2RGB, "bayer_grbg": cv2.COLOR_BayerGB2RGB,
    "yuv422": cv2.COLOR_YUV2RGB_UYVY, "yuv422_yuy2": cv2.COLOR_YUV2RGB_YUY2,
}  # fmt: skip


def like_cv_bridge(array: npt.NDArray[Any], encoding: str, wanted: str) -> npt.NDArray[Any]:
    """cvtColor2 of cv_bridge, by its documented conversion table, for machines without it."""
    assert wanted in ("rgb8", "rgb16")
    assert encoding.endswith("16") == (wanted == "rgb16")
    name = encoding if encoding.startswith("yuv") else encoding.removesuffix("16").removesuffix("8")
    return np.asarray(cv2.cvtColor(array, CV_BRIDGE_CODES[name]))


def converters() -> list[Any]:
    """rosbags-image, cv_bridge as documented, and cv_bridge itself where there is one."""
    found = [pytest.param(images.rosbags_converter(), id="rosbags"), pytest.param(like_cv_bridge, id="like-cv_bridge")]
    with contextlib.suppress(ImportError, AttributeError):
        found.append(pytest.param(images.cv_bridge_converter(), id="cv_bridge"))
    return found


every_converter = pytest.mark.parametrize("converter", converters())


def message_of(array: npt.NDArray[Any], encoding: str, *, big_endian: bool = False, padding: int = 0) -> ImageMsg:
    """`array` [H, W] or [H, W, C] as a driver would send it, with `padding` bytes of rubbish after each row."""
    rows = array.astype(array.dtype.newbyteorder(">" if big_endian else "<")).reshape(len(array), -1)
    data = rows.view(np.uint8).reshape(len(array), -1)
    data = np.hstack([data, np.full((len(array), padding), 0xA5, np.uint8)])
    return ImageMsg(
        height=array.shape[0], width=array.shape[1], encoding=encoding, is_bigendian=int(big_endian),
        step=data.shape[1], data=data.tobytes(),
    )  # fmt: skip


def mosaic(pattern: str) -> npt.NDArray[np.uint8]:
    """The picture as a sensor behind a colour filter sees it; pattern names the top-left 2x2 pixels."""
    raw = np.empty((HEIGHT, WIDTH), np.uint8)
    for place, colour in enumerate(pattern):
        y, x = divmod(place, 2)
        raw[y::2, x::2] = PICTURE[y::2, x::2, "rgb".index(colour)]
    return raw


def ycbcr() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float64]]:
    """Luminance [H, W] and chrominance [H, W, 2] of the picture, BT.601 studio range."""
    r, g, b = np.moveaxis(PICTURE.astype(float), -1, 0)
    y = 16 + (65.481 * r + 128.553 * g + 24.966 * b) / 255
    u = 128 + (-37.797 * r - 74.203 * g + 112.0 * b) / 255
    v = 128 + (112.0 * r - 93.786 * g - 18.214 * b) / 255
    return np.rint(y).astype(np.uint8), np.stack([u, v], axis=-1)


def packed_422(order: str) -> npt.NDArray[np.uint8]:
    y, uv = ycbcr()
    pairs = np.rint((uv[:, 0::2] + uv[:, 1::2]) / 2).astype(np.uint8)
    chroma = np.empty((HEIGHT, WIDTH), np.uint8)
    chroma[:, 0::2], chroma[:, 1::2] = pairs[..., 0], pairs[..., 1]
    return np.stack([chroma, y] if order == "uyvy" else [y, chroma], axis=-1)


def planes(encoding: str) -> npt.NDArray[np.uint8]:
    y, uv = ycbcr()
    if encoding == "nv24":
        chroma = np.rint(uv).astype(np.uint8).reshape(2 * HEIGHT, WIDTH)
    else:
        quarter = np.rint(uv.reshape(HEIGHT // 2, 2, WIDTH // 2, 2, 2).mean(axis=(1, 3))).astype(np.uint8)
        chroma = (quarter if encoding == "nv12" else quarter[..., ::-1]).reshape(HEIGHT // 2, WIDTH)
    return np.vstack([y, chroma])


def sent(encoding: str, *, big_endian: bool = False, padding: int = 0) -> tuple[ImageMsg, Image, int]:
    """A message of the picture in `encoding`, what should come out, and by how much a colour may differ."""
    deep = PICTURE.astype(np.uint16) * 257
    alpha = np.full((HEIGHT, WIDTH, 1), 9, np.uint8)
    gray: Image = np.repeat(GRAY[..., None], 3, axis=-1)
    if encoding in ("nv12", "nv21", "nv24"):
        message = message_of(planes(encoding), encoding, padding=padding)
        message.height = HEIGHT
        return message, PICTURE, 3 if encoding == "nv24" else 90
    named: dict[str, tuple[npt.NDArray[Any], Image, int]] = {
        "rgb8": (PICTURE, PICTURE, 0), "bgr8": (PICTURE[..., ::-1], PICTURE, 0),
        "rgba8": (np.concatenate([PICTURE, alpha], -1), PICTURE, 0),
        "bgra8": (np.concatenate([PICTURE[..., ::-1], alpha], -1), PICTURE, 0),
        "rgb16": (deep, PICTURE, 0), "bgr16": (deep[..., ::-1], PICTURE, 0),
        "rgba16": (np.concatenate([deep, deep[..., :1]], -1), PICTURE, 0),
        "bgra16": (np.concatenate([deep[..., ::-1], deep[..., :1]], -1), PICTURE, 0),
        "mono8": (GRAY, gray, 0), "mono16": (GRAY.astype(np.uint16) * 257, gray, 0),
        "yuv422": (packed_422("uyvy"), PICTURE, 60), "uyvy": (packed_422("uyvy"), PICTURE, 60),
        "yuv422_yuy2": (packed_422("yuy2"), PICTURE, 60), "yuyv": (packed_422("yuy2"), PICTURE, 60),
    }  # fmt: skip
    for pattern in ("rggb", "bggr", "gbrg", "grbg"):
        named[f"bayer_{pattern}8"] = (mosaic(pattern), PICTURE, 160)
        named[f"bayer_{pattern}16"] = (mosaic(pattern).astype(np.uint16) * 257, PICTURE, 160)
    if encoding in named:
        array, expected, tolerance = named[encoding]
    else:
        array, expected, tolerance = generic(encoding)
    return message_of(array, encoding, big_endian=big_endian, padding=padding), expected, tolerance


def generic(encoding: str) -> tuple[npt.NDArray[Any], Image, int]:
    kind, channels = encoding.split("C")
    dtype = {"8U": "u1", "8S": "i1", "16U": "u2", "16S": "i2", "32S": "i4", "32F": "f4", "64F": "f8"}[kind]
    highest = 1.0 if kind.endswith("F") else float(np.iinfo(dtype).max)
    gray: Image = np.repeat(GRAY[..., None], 3, axis=-1)
    colours = {
        "1": gray[..., :1],
        "2": gray[..., :2],
        "3": PICTURE[..., ::-1],
        "4": np.dstack([PICTURE[..., ::-1], GRAY]),
    }
    exact = colours[channels].astype(float) * highest / 255
    array = (exact if kind.endswith("F") else np.rint(exact)).astype(dtype)
    return array, gray if channels in "12" else PICTURE, 1


def test_the_list_holds_every_encoding_that_cv_bridge_knows() -> None:
    named = {f"{colours}{depth}" for colours in ("rgb", "bgr", "rgba", "bgra", "mono") for depth in (8, 16)}
    bayer = {f"bayer_{pattern}{depth}" for pattern in ("rggb", "bggr", "gbrg", "grbg") for depth in (8, 16)}
    generic = {f"{kind}C{n}" for kind in ("8U", "8S", "16U", "16S", "32S", "32F", "64F") for n in (1, 2, 3, 4)}
    assert named | bayer | generic | {"yuv422", "yuv422_yuy2"} <= set(ENCODINGS)
    assert {"uyvy", "yuyv", "nv12", "nv21", "nv24"} <= set(ENCODINGS)  # newer names of sensor_msgs


@every_converter
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_encoding_shows_the_picture(encoding: str, converter: Converter) -> None:
    message, expected, tolerance = sent(encoding)
    image = image_from_ros(message, converter)
    assert image.shape == (HEIGHT, WIDTH, 3)
    assert image.dtype == np.uint8
    difference = np.abs(image.astype(int) - expected)
    assert difference.max() <= tolerance  # at the edges, where neighbours share a colour
    assert np.median(difference) <= min(tolerance, 3)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_converters_agree_to_the_last_bit(encoding: str) -> None:
    message = sent(encoding)[0]
    first, *others = (image_from_ros(message, each.values[0]) for each in converters())
    for other in others:
        np.testing.assert_array_equal(first, other)


@every_converter
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_step_and_byte_order_are_honoured(encoding: str, converter: Converter) -> None:
    plain = image_from_ros(sent(encoding)[0], converter)
    padded = sent(encoding, padding=24)[0]
    np.testing.assert_array_equal(image_from_ros(padded, converter), plain)
    if encoding not in ("nv12", "nv21", "nv24"):
        swapped = sent(encoding, big_endian=True, padding=8)[0]
        np.testing.assert_array_equal(image_from_ros(swapped, converter), plain)


def test_rgb8_is_not_copied() -> None:
    message = sent("rgb8")[0]
    image = image_from_ros(message)
    assert np.shares_memory(image, np.frombuffer(message.data, np.uint8))


def test_an_odd_step_for_16_bit() -> None:
    message = sent("mono16", padding=3)[0]
    np.testing.assert_array_equal(image_from_ros(message), sent("mono16")[1])


def test_depth_in_floats_with_nan_and_infinity_does_not_warn() -> None:
    array = np.array([[np.nan, np.inf], [-1.0, 0.5]], np.float32)
    image = image_from_ros(message_of(array, "32FC1"))
    assert image[..., 0].tolist() == [[0, 255], [0, 128]]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"encoding": "jpeg2000"}, "'jpeg2000' is not supported"),
        ({"encoding": ""}, "is not supported"),
        ({"encoding": "8UC5"}, "5 channels"),
        ({"encoding": "128FC1"}, "is not supported"),
        ({"step": 100}, "step 100 is under the 192 bytes"),
        ({"step": 0}, "step 0"),
        ({"height": 49}, "data has 9216 bytes"),
        ({"width": 0}, "0x48 pixels"),
        ({"height": 1 << 31, "width": 1 << 31}, "pixels"),
        ({"data": b""}, "data has 0 bytes"),
        ({"encoding": "yuv422", "width": 63}, "odd width"),
        ({"encoding": "nv12", "width": 63}, "even sizes"),
    ],
)
def test_what_cannot_be_right_is_one_clear_line(change: dict[str, Any], says: str) -> None:
    message = sent("rgb8")[0]
    for name, value in change.items():
        setattr(message, name, value)
    with pytest.raises(UserError, match=says) as error:
        image_from_ros(message)
    assert "\n" not in str(error.value)


@given(
    encoding=st.one_of(st.sampled_from(ENCODINGS), st.text(max_size=8)),
    height=st.integers(0, 9), width=st.integers(0, 9),
    step=st.integers(0, 80), big=st.booleans(), data=st.binary(max_size=700),
)  # fmt: skip
def test_any_message_is_decoded_or_refused(
    encoding: str, height: int, width: int, step: int, big: bool, data: bytes
) -> None:
    message = types.SimpleNamespace(
        encoding=encoding, height=height, width=width, step=step, is_bigendian=big, data=data
    )
    refused = ""
    try:
        image = image_from_ros(message)
    except UserError as error:
        refused = str(error)
    else:
        assert image.shape == (height, width, 3)
        assert image.dtype == np.uint8
    assert "\n" not in refused.replace(repr(encoding), "")


def test_cv_bridge_is_used_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    def cvt_color_2(array: npt.NDArray[Any], encoding: str, wanted: str) -> npt.NDArray[Any]:
        asked.append((encoding, wanted))
        return like_cv_bridge(array, encoding, wanted)

    boost = types.ModuleType("cv_bridge.boost.cv_bridge_boost")
    boost.cvtColor2 = cvt_color_2  # type: ignore[attr-defined]
    for name in ("cv_bridge", "cv_bridge.boost"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, "cv_bridge.boost.cv_bridge_boost", boost)
    images.installed_converter.cache_clear()
    try:
        message, expected, _ = sent("bgr8")
        np.testing.assert_array_equal(image_from_ros(message), expected)
    finally:
        images.installed_converter.cache_clear()
    assert asked == [("bgr8", "rgb8")]


def test_a_cv_bridge_that_was_built_for_another_numpy_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv_bridge", None)
    images.installed_converter.cache_clear()
    try:
        message, expected, _ = sent("bgr8")
        np.testing.assert_array_equal(image_from_ros(message), expected)
    finally:
        images.installed_converter.cache_clear()
