from __future__ import annotations

import struct
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nav_vlm_node.errors import UserError
from nav_vlm_node.frames import (
    Image,
    Mailbox,
    QualityLimits,
    decode_compressed,
    due_in,
    quality_problem,
)
from nav_vlm_node.replies import BLURRED, COVERED, TOO_BRIGHT, TOO_DARK
from tests.pictures import room

LIMITS = QualityLimits()


def encoded(image: Image, suffix: str) -> bytes:
    done, data = cv2.imencode(suffix, image[..., ::-1])
    assert done
    return data.tobytes()


def test_mailbox_keeps_the_newest_only() -> None:
    mailbox: Mailbox[int] = Mailbox()
    assert mailbox.newest() is None
    for number in range(5):
        mailbox.put(number)
    assert mailbox.newest() == 4
    assert mailbox.newest() == 4  # it stays: two questions may be about one picture
    assert mailbox.count == 5
    mailbox.clear()
    assert mailbox.newest() is None


def test_mailbox_waits_for_a_good_one() -> None:
    mailbox: Mailbox[int] = Mailbox()
    mailbox.put(1)
    found: list[int | None] = []
    reader = threading.Thread(target=lambda: found.append(mailbox.wait_for(lambda n: n > 2, timeout=30)))
    reader.start()
    for number in (2, 3, 4):
        mailbox.put(number)
    reader.join(30)
    assert found in ([3], [4])


def test_mailbox_gives_up_after_its_timeout() -> None:
    mailbox: Mailbox[int] = Mailbox()
    mailbox.put(1)
    assert mailbox.wait_for(lambda n: n > 2, timeout=0.01) is None


def test_mailbox_reader_can_be_stopped() -> None:
    mailbox: Mailbox[int] = Mailbox()
    stop, found = threading.Event(), threading.Event()

    def read() -> None:
        assert mailbox.wait_for(lambda n: True, timeout=300, stop=stop) is None
        found.set()

    threading.Thread(target=read, daemon=True).start()
    stop.set()
    mailbox.wake()
    assert found.wait(30)


@pytest.mark.parametrize(
    ("since", "wait"),
    [(0.001, 0.0), (0.010, 0.0), (0.020, 0.0217), (0.030, 0.0117), (0.040, 0.0017), (0.050, 0.0), (5.0, 0.0)],
)
def test_a_picture_that_is_nearly_due_is_waited_for(since: float, wait: float) -> None:
    arrivals = [100.0 + number / 30 for number in range(31)]
    assert due_in(arrivals, arrivals[-1] + since) == pytest.approx(wait, abs=1e-4)
    assert due_in(arrivals[:5], arrivals[4] + since) == 0.0  # too few to know
    slow = [100.0 + number / 5 for number in range(31)]
    assert due_in(slow, slow[-1] + since) == 0.0  # too long to wait
    assert due_in([100.0] * 31, 100.0 + since) == 0.0


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_decodes_to_rgb(suffix: str) -> None:
    image = np.zeros((48, 64, 3), np.uint8)
    image[:, :32] = (200, 30, 60)
    decoded = decode_compressed(encoded(image, suffix))
    assert decoded.shape == (48, 64, 3)
    assert decoded.dtype == np.uint8
    np.testing.assert_allclose(decoded[24, 10], (200, 30, 60), atol=6)


def test_decodes_gray_and_16_bit_png_to_8_bit_rgb() -> None:
    gray = np.full((8, 8), 70, np.uint8)
    assert decode_compressed(cv2.imencode(".png", gray)[1].tobytes())[0, 0].tolist() == [70, 70, 70]
    deep = np.full((8, 8, 3), 70 * 257, np.uint16)
    assert decode_compressed(cv2.imencode(".png", deep)[1].tobytes())[0, 0].tolist() == [70, 70, 70]


def test_a_publisher_that_compressed_rgb_as_if_it_were_bgr() -> None:
    swapped = room()[..., ::-1]
    data = encoded(np.ascontiguousarray(swapped), ".png")
    decoded = decode_compressed(data, layout="rgb8; jpeg compressed rgb8")
    np.testing.assert_array_equal(decoded, room())
    np.testing.assert_array_equal(decode_compressed(data, layout="rgb8; png compressed bgr8"), swapped)


@pytest.mark.parametrize("shape", [(1, 100, 3), (100, 1, 3), (1, 1, 3)])
@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_picture_without_an_edge_is_refused(shape: tuple[int, ...], suffix: str) -> None:
    with pytest.raises(UserError, match=f"{shape[1]}x{shape[0]} pixels; send at least 2x2"):
        decode_compressed(encoded(np.zeros(shape, np.uint8), suffix))
    least = decode_compressed(encoded(room()[:2, :2], suffix))
    quality_problem(least, LIMITS)  # and one that is not can be judged


def test_exif_turns_photographs_only_when_asked() -> None:
    image = np.zeros((20, 40, 3), np.uint8)
    jpeg = encoded(image, ".jpg")
    # APP1 with one little-endian IFD entry: orientation (0x0112) = 6, "turn 90 degrees clockwise".
    tiff = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0)
    body = b"Exif\0\0" + tiff
    turned = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]
    assert decode_compressed(turned).shape == (20, 40, 3)
    assert decode_compressed(turned, exif=True).shape == (40, 20, 3)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "neither jpeg nor png"),
        (b"GIF89a" + bytes(50), "neither jpeg nor png"),
        (b"\x89PNG\r\n\x1a\n", "neither jpeg nor png"),
        (b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + struct.pack(">II", 60000, 60000) + bytes(9), "60000x60000"),
        (b"\xff\xd8\xff\xc0\0\x11\x08" + struct.pack(">HH", 65000, 65000) + bytes(9), "65000x65000"),
    ],
)
def test_what_is_no_picture_is_refused_in_one_line(data: bytes, says: str) -> None:
    with pytest.raises(UserError, match=says) as error:
        decode_compressed(data, layout="jpeg")
    assert "\n" not in str(error.value)


def test_a_picture_that_was_cut_off_is_refused() -> None:
    for suffix in (".png", ".jpg"):
        data = encoded(room(), suffix)
        assert decode_compressed(data + bytes(2000)).shape == (240, 320, 3)  # drivers pad with zeros
        for share in (0.1, 0.5, 0.99):
            with pytest.raises(UserError, match="damaged"):
                decode_compressed(data[: int(len(data) * share)])


def check_decoded_or_refused(data: bytes) -> None:
    refused = ""
    try:
        image = decode_compressed(data)
    except UserError as error:
        refused = str(error)
    else:
        assert image.ndim == 3
        assert image.dtype == np.uint8
    assert "\n" not in refused


@given(st.binary(max_size=400), st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"]))
def test_any_bytes_are_decoded_or_refused(data: bytes, magic: bytes) -> None:
    check_decoded_or_refused(magic + data)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_picture_with_flipped_bytes_is_decoded_or_refused(data: st.DataObject) -> None:
    for suffix in (".jpg", ".png"):
        damaged = bytearray(encoded(room()[:32, :32], suffix))
        for _ in range(4):
            damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
        check_decoded_or_refused(bytes(damaged))


def test_a_good_picture_passes() -> None:
    assert quality_problem(room(), LIMITS) is None
    assert quality_problem(np.asarray(cv2.resize(room(), (1280, 960)), np.uint8), LIMITS) is None
    assert quality_problem((room() * 0.35).astype(np.uint8), LIMITS) is None  # a dim corridor
    assert quality_problem(np.rot90(room()), LIMITS) is None


@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        (np.zeros((240, 320, 3), np.uint8), TOO_DARK),
        ((room() * 0.08).astype(np.uint8), TOO_DARK),
        (np.full((240, 320, 3), 255, np.uint8), TOO_BRIGHT),
        (np.full((240, 320, 3), 128, np.uint8), COVERED),
        (np.random.default_rng(0).normal((90, 40, 30), 6, (480, 640, 3)).astype(np.uint8), COVERED),  # a finger
        (np.asarray(cv2.GaussianBlur(room(), (0, 0), 12), np.uint8), BLURRED),
        (np.asarray(cv2.blur(room(), (45, 45)), np.uint8), BLURRED),
    ],
)
def test_a_picture_nobody_should_answer_from_is_named(picture: Image, reason: str) -> None:
    assert quality_problem(picture, LIMITS) == reason


def test_zero_switches_a_check_off() -> None:
    off = QualityLimits(darkness=0, brightness=0, contrast=0, sharpness=0)
    for level in (0, 128, 255):
        assert quality_problem(np.full((24, 32, 3), level, np.uint8), off) is None


def test_frames_imports_without_opencv(tmp_path: Path) -> None:
    """Importing must not need cv2: a robot's own build is loaded when it is first needed."""
    import subprocess
    import sys

    code = "import sys; sys.modules['cv2'] = None; import nav_vlm_node.frames, nav_vlm_node.guide"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
