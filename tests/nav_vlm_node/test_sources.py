"""Pictures from files and devices: in order, whole, and one clear line for what cannot be read."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from nav_vlm_node.errors import UserError
from nav_vlm_node.frames import Image
from nav_vlm_node.sources import IMAGES_RATE, open_source


def gray(level: int, height: int = 48, width: int = 64) -> Image:
    return np.full((height, width, 3), level, np.uint8)


def levels(images: list[Image]) -> list[int]:
    return [round(float(image.mean())) for image in images]


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """FFmpeg looks once in a process, when its first file is opened: here that may be a video that a test writes."""
    monkeypatch.setenv("OPENCV_FFMPEG_LOGLEVEL", "-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten images whose names sort by number, not by letter, beside a file that is none."""
    for index in range(1, 11):
        cv2.imwrite(str(tmp_path / f"frame{index}.png"), gray(20 * index))
    (tmp_path / "notes.txt").write_text("not an image")
    return tmp_path


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "walk.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 12.5, (64, 48))  # type: ignore[attr-defined]
    for level in (40, 120, 200):
        frame = gray(level)
        frame[:16, :32] = (0, 0, 220)  # red, as OpenCV writes it: blue, green, red
        writer.write(frame)
    writer.release()
    return path


def test_a_folder_is_shown_in_the_order_of_its_numbers(folder: Path) -> None:
    with open_source(str(folder)) as source:
        assert levels(list(source.pictures())) == [20 * index for index in range(1, 11)]
        assert not source.live
        assert source.rate == IMAGES_RATE


def test_pictures_are_rgb(tmp_path: Path) -> None:
    red = gray(0)
    red[..., 0] = 250
    cv2.imwrite(str(tmp_path / "red.png"), red[..., ::-1])
    with open_source(str(tmp_path / "red.png")) as source:
        (image,) = source.pictures()
    assert image[0, 0].tolist() == [250, 0, 0]
    assert image.shape == (48, 64, 3)


def test_loop_begins_again(folder: Path) -> None:
    with open_source(str(folder)) as source:
        assert levels(list(itertools.islice(source.pictures(loop=True), 12)))[10:] == [20, 40]


def test_a_damaged_image_is_left_out(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "frame3.png").write_bytes(b"\x89PNG\r\n\x1a\n but not for long")
    with open_source(str(folder)) as source:
        assert len(list(source.pictures())) == 9
    assert "frame3.png" in caplog.text


def test_a_folder_that_is_emptied_ends_the_loop(folder: Path) -> None:
    with open_source(str(folder)) as source:
        pictures = source.pictures(loop=True)
        next(pictures)
        for path in folder.glob("*.png"):
            path.unlink()
        with pytest.raises(UserError, match="no image can be read any more"):
            list(pictures)


def test_a_video_with_its_own_rate(video: Path) -> None:
    with open_source(str(video)) as source:
        assert source.rate == pytest.approx(12.5)
        shown = list(source.pictures())
        assert np.allclose(levels([image[32:] for image in shown]), [40, 120, 200], atol=3)
        assert np.allclose(shown[0][8, 8], [220, 0, 0], atol=12)
        again = list(itertools.islice(source.pictures(loop=True), 5))
        assert np.allclose(levels([image[32:] for image in again[3:]]), [40, 120], atol=3)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda at: at / "nothing.mp4", "is not there"),
        (lambda at: at / "empty", "holds no image"),
        (lambda at: at / "broken.mp4", "is no video that OpenCV can decode"),
        (lambda at: at / "text.txt", "is no video that OpenCV can decode"),
        (lambda at: at / "broken.jpg", "broken.jpg"),
        (lambda at: at / "damaged", "broken.png"),
        (lambda at: "/dev/video97", "camera /dev/video97 is not there; cameras on this machine: "),
        (lambda at: "97", "camera /dev/video97 is not there"),
        (lambda at: "/dev/null", "/dev/null gives no picture"),
        (lambda at: "", "no source"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(
    make: Callable[[Path], Path | str], says: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "damaged").mkdir()
    for name in ("broken.mp4", "text.txt", "broken.jpg", "damaged/broken.png"):
        (tmp_path / name).write_text("this is text")
    with pytest.raises(UserError) as raised:
        open_source(str(make(tmp_path)))
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)
    assert capfd.readouterr() == ("", "")  # OpenCV and FFmpeg print nothing of their own
