"""Pictures of other people's sets: found by name, looked at, and brought into a form that every reader takes.

What is RGB and upright is taken as it is; what is not (grey, palette, CMYK, with transparency, turned by EXIF, another
format) is converted to PNG; what cannot be decoded to its end is broken and left out. Both are reported by name.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import unicodedata
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from nav_vlm_node.errors import UserError
from nav_vlm_training.data.reading import Odd
from nav_vlm_training.data.samples import Image as Pixels

SMALLEST = 16  # pixels of the shorter side; less shows nothing
_PLAIN = {"JPEG": (".jpg", ".jpeg"), "PNG": (".png",)}
_MODES = ("RGB", "L", "P", "1", "CMYK", "YCbCr", "LAB", "HSV", "RGBA", "LA", "PA", "RGBX", "RGBa", "La")
_ORIENTATION = 0x0112  # EXIF tag


@dataclass(frozen=True, kw_only=True)
class Facts:
    """A picture that can be used. size in pixels. pixels: hash of what it shows. converted: from what, "" if not."""

    width: int
    height: int
    pixels: str
    converted: str = ""

    def to_json(self) -> dict[str, Any]:
        """As kept in a ledger."""
        return asdict(self)


class PictureFolder:
    """Finds the files of a folder by the names that people wrote down for them."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise UserError(f"no folder of pictures at {folder}; give --pictures the folder that holds them")
        self.folder = folder
        self._listed: dict[str, dict[str, str]] = {}

    def find(self, name: str) -> str | None:
        """The file that `name` means, relative to the folder; None if there is none.

        A name may differ from its file's in capitals and in how accents are encoded.
        """
        if self._is_file(name):
            return name
        found = ""
        for part in name.split("/"):
            there = self._names(found).get(_folded(part))
            if there is None:
                return None
            found = f"{found}/{there}" if found else there
        return found if self._is_file(found) else None

    def _is_file(self, name: str) -> bool:
        try:
            return (self.folder / name).is_file()
        except (OSError, ValueError):  # a name too long for the file system
            return False

    def _names(self, inner: str) -> dict[str, str]:
        """What is in a folder: the name without capitals and accents' encoding -> the name."""
        if inner not in self._listed:
            try:
                names = sorted(os.listdir(self.folder / inner), reverse=True)
            except (OSError, ValueError):
                names = []
            self._listed[inner] = {_folded(name): name for name in names}
        return self._listed[inner]


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def open_picture(path: Path) -> tuple[Image.Image, str]:
    """A picture in RGB and upright, and from what it had to be converted ("" if it is so already). Raises Odd."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            warnings.simplefilter("ignore", UserWarning)  # damaged EXIF data and the like: the pixels count
            with Image.open(path) as picture:
                picture.load()
                return _upright_rgb(picture)
    except Odd:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise Odd("is larger than a picture of a camera can be") from None
    except Exception as error:  # decoders of damaged files raise nearly everything
        raise Odd(f"is broken ({' '.join(str(error).split())[:120] or type(error).__name__})") from None


def _upright_rgb(picture: Image.Image) -> tuple[Image.Image, str]:
    if picture.mode not in _MODES:
        raise Odd(f"is of mode {picture.mode}, which is no photograph's")
    if min(picture.size) < SMALLEST:
        raise Odd(f"is only {picture.width}x{picture.height} pixels")
    reasons = [] if picture.mode == "RGB" else [f"mode {picture.mode}"]
    if picture.format not in _PLAIN:
        reasons.append(f"format {picture.format}")
    if _orientation(picture) not in (0, 1):
        reasons.append("turned by EXIF")
        picture = ImageOps.exif_transpose(picture)
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        reasons += ["transparency"] if picture.mode in ("RGB", "P", "L", "1") else []
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return picture.convert("RGB"), ", ".join(reasons)


def _orientation(picture: Image.Image) -> int:
    try:
        return int(picture.getexif().get(_ORIENTATION, 1))
    except Exception:  # damaged EXIF data says nothing; the picture may be sound all the same
        return 1


def pixel_hash(pixels: Pixels) -> str:
    """SHA-256 of uint8 [H, W, 3] RGB: equal for pictures that show exactly the same, whatever their files."""
    height, width = pixels.shape[:2]
    return hashlib.sha256(f"{width}x{height} ".encode() + np.ascontiguousarray(pixels).tobytes()).hexdigest()


def look(path: Path) -> Facts:
    """What a picture is. Raises Odd where it cannot be used."""
    picture, converted = open_picture(path)
    return _facts(picture, converted)


def _facts(picture: Image.Image, converted: str) -> Facts:
    pixels = pixel_hash(np.asarray(picture, np.uint8))
    return Facts(width=picture.width, height=picture.height, pixels=pixels, converted=converted)


def take(source: Path, target: Path, *, link: bool = False) -> tuple[Facts, Path]:
    """Puts a usable picture at `target`, or as PNG beside that name; returns what it is and where it went.

    link: as a second name of the same file (never a symbolic link) where the file system can. The file is there
    whole or not at all. Raises Odd for a picture that cannot be used and OSError for a disk that does not take it.
    """
    picture, converted = open_picture(source)
    facts = _facts(picture, converted)
    final = target.with_name(f"{target.name}.png") if converted else target
    final.parent.mkdir(parents=True, exist_ok=True)
    draft = final.parent / f".{facts.pixels[:16]}.draft"
    draft.unlink(missing_ok=True)
    try:
        if converted:
            picture.save(draft, format="PNG")
        elif not (link and _linked(source, draft)):
            shutil.copyfile(source, draft)
        os.replace(draft, final)
    finally:
        draft.unlink(missing_ok=True)
    return facts, final


def _linked(source: Path, target: Path) -> bool:
    try:
        os.link(source.resolve(), target)
    except OSError:
        return False
    return True
