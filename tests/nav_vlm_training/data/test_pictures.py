from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nav_vlm_node.errors import UserError
from nav_vlm_training.data.pictures import PictureFolder, look, pixel_hash, take
from nav_vlm_training.data.reading import Odd
from nav_vlm_training.data.samples import read_picture
from tests.nav_vlm_training.data.fuzz import FUZZ, refusal
from tests.nav_vlm_training.indoor67 import make_picture, pixels_of

RGB = Image.fromarray(pixels_of("a"))


def test_a_plain_picture_is_taken_byte_for_byte(tmp_path: Path) -> None:
    make_picture(tmp_path / "a.jpg")
    facts, path = take(tmp_path / "a.jpg", tmp_path / "out" / "x" / "a.jpg")
    assert path.read_bytes() == (tmp_path / "a.jpg").read_bytes()
    assert (facts.width, facts.height, facts.converted) == (64, 48, "")
    assert facts.pixels == pixel_hash(read_picture(path))
    assert [file.name for file in path.parent.iterdir()] == ["a.jpg"]


@pytest.mark.parametrize(
    ("mode", "format_", "reason"),
    [
        ("L", "JPEG", "mode L"),
        ("P", "PNG", "mode P"),
        ("1", "PNG", "mode 1"),
        ("CMYK", "JPEG", "mode CMYK"),
        ("RGBA", "PNG", "mode RGBA"),
        ("LA", "PNG", "mode LA"),
        ("RGB", "BMP", "format BMP"),
        ("P", "GIF", "format GIF"),
    ],
)
def test_what_is_not_plain_rgb_is_converted_and_said(tmp_path: Path, mode: str, format_: str, reason: str) -> None:
    RGB.convert(mode).save(tmp_path / "a.jpg", format=format_)  # a wrong suffix, as there are in MIT Indoor 67
    facts, path = take(tmp_path / "a.jpg", tmp_path / "out" / "a.jpg")
    assert reason in facts.converted
    assert path.name == "a.jpg.png"
    with Image.open(path) as picture:
        assert (picture.mode, picture.size) == ("RGB", (64, 48))
    assert facts.pixels == pixel_hash(read_picture(path))


def test_a_picture_that_exif_turns_is_turned(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    RGB.save(tmp_path / "a.jpg", exif=exif, quality=95)
    facts, path = take(tmp_path / "a.jpg", tmp_path / "out" / "a.jpg")
    assert (facts.width, facts.height, facts.converted) == (48, 64, "turned by EXIF")
    turned = np.rot90(np.asarray(RGB), -1).astype(int)
    assert np.abs(read_picture(path).astype(int) - turned).mean() < 12


def test_what_shines_through_is_white(tmp_path: Path) -> None:
    Image.new("RGBA", (20, 20), (255, 0, 0, 0)).save(tmp_path / "a.png")
    _, path = take(tmp_path / "a.png", tmp_path / "out.png")
    assert (read_picture(path) == 255).all()


def broken(tmp_path: Path, kind: str) -> Path:
    path = tmp_path / "a.jpg"
    make_picture(path)
    whole = path.read_bytes()
    if kind == "cut off":
        path.write_bytes(whole[: len(whole) // 2])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("<html>404</html>")
    elif kind == "tiny":
        RGB.resize((10, 30)).save(path)
    elif kind == "depth":
        Image.fromarray(np.zeros((20, 20), np.int32)).save(path, format="TIFF")
    return path


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("cut off", "is broken"), ("empty", "is broken"), ("text", "is broken"), ("tiny", "only 10x30"),
        ("depth", "mode I"),
    ],
)  # fmt: skip
def test_what_is_broken_is_left_out_and_leaves_nothing(tmp_path: Path, kind: str, why: str) -> None:
    path = broken(tmp_path, kind)
    with pytest.raises(Odd, match=why):
        take(path, tmp_path / "out" / "a.jpg")
    assert not (tmp_path / "out").exists()


def test_a_picture_that_would_fill_the_memory_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_picture(tmp_path / "a.jpg")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 64 * 48 - 1)
    with pytest.raises(Odd, match="larger than a picture of a camera"):
        look(tmp_path / "a.jpg")


def test_a_full_disk_leaves_no_half_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_picture(tmp_path / "a.jpg")

    def full(source: Path, target: Path) -> None:
        target.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(OSError, match="No space"):
        take(tmp_path / "a.jpg", tmp_path / "out" / "a.jpg")
    assert not list((tmp_path / "out").iterdir())


def test_a_link_is_a_second_name_and_never_symbolic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_picture(tmp_path / "real.jpg")
    (tmp_path / "a.jpg").symlink_to("real.jpg")
    _, path = take(tmp_path / "a.jpg", tmp_path / "out" / "a.jpg", link=True)
    assert not path.is_symlink()
    assert path.samefile(tmp_path / "real.jpg")

    def refused(*_: Any) -> None:
        raise OSError(errno.EXDEV, "another device")

    monkeypatch.setattr(os, "link", refused)
    _, path = take(tmp_path / "a.jpg", tmp_path / "out" / "b.jpg", link=True)
    assert not path.is_symlink()
    assert path.stat().st_nlink == 1


@pytest.mark.parametrize("name", ["Room/Ä one.JPG", "room/ä one.jpg", "room/a\u0308 ONE.jpg"])
def test_a_file_is_found_by_what_people_wrote(tmp_path: Path, name: str) -> None:
    make_picture(tmp_path / "Room" / "Ä one.JPG")
    assert PictureFolder(tmp_path).find(name) == "Room/Ä one.JPG"


@pytest.mark.parametrize("name", ["Room", "Room/none.jpg", "x" * 400, "a/" * 30 + "b", "Room/Ä one.JPG/x"])
def test_what_is_not_there_is_not_found(tmp_path: Path, name: str) -> None:
    make_picture(tmp_path / "Room" / "Ä one.JPG")
    assert PictureFolder(tmp_path).find(name) is None
    with pytest.raises(UserError, match="no folder of pictures"):
        PictureFolder(tmp_path / "none")


@FUZZ
@given(st.data())
def test_a_damaged_file_is_used_or_left_out(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.jpg"
    make_picture(path)
    whole = bytearray(path.read_bytes())
    for at in data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=6)):
        whole[at] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(whole[: data.draw(st.integers(0, len(whole)))]))
    why = refusal(look, path)
    assert "\n" not in why
    assert why or min(look(path).width, look(path).height) >= 16
