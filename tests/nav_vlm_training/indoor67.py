"""Stand-in pictures in the layout of MIT Indoor 67, made in milliseconds, and question files about them."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

ROOMS = ("corridor", "library", "stairscase")
ANSWERS = (
    "Walk straight ahead.",
    "Turn left.",
    "It's on your right.",
    "Walk straight to the doors; they are on the left.",
    "Yes, there is a table in front of you.",
    "The exit is behind you.",
)


def pixels_of(name: str) -> npt.NDArray[np.uint8]:
    """[48, 64, 3], different for each name."""
    blocks = np.random.default_rng(zlib.crc32(name.encode())).integers(0, 256, (6, 8, 3), np.uint8)
    return np.kron(blocks, np.ones((8, 8, 1), np.uint8))


def make_picture(path: Path, name: str = "") -> None:
    """A JPEG that shows what `name` stands for, by default its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels_of(name or path.name)).save(path, format="JPEG")


def make_indoor67(folder: Path, each: int = 4, rooms: Sequence[str] = ROOMS) -> list[str]:
    """Images/<class>/<file> and both lists; of each class the last picture is in TestImages.txt. Returns all names."""
    names = [f"{room}/{room}_{number:02d}.jpg" for room in rooms for number in range(each)]
    for name in names:
        make_picture(folder / "Images" / name)
    last = [name for name in names if name.endswith(f"_{each - 1:02d}.jpg")]
    (folder / "TestImages.txt").write_text("\n".join(last) + "\n")
    (folder / "TrainImages.txt").write_text("\n".join(name for name in names if name not in last) + "\n")
    return names


def paper_lines(names: Iterable[str]) -> list[str]:
    """Two questions about each picture, in the paper's form."""
    lines: list[str] = []
    for number, name in enumerate(names):
        for question in ("How do I get to the exit", "Is there anything in my way"):
            lines.append(f"{name};Q:{question};A:{ANSWERS[(number + len(lines)) % len(ANSWERS)]}")
    return lines


def make_paper(folder: Path, each: int = 4) -> tuple[Path, Path]:
    """A text file of questions and the folder of their pictures."""
    names = make_indoor67(folder / "mit", each)
    (folder / "questions.txt").write_text("\n\n".join(paper_lines(names)) + "\n")
    return folder / "questions.txt", folder / "mit"
