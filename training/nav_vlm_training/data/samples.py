"""A data set's questions, read and checked: what `nav-vlm-sim dataset` and `nav-vlm-train prepare` write.

A data set is a folder with questions.jsonl, the pictures that its lines name, and card.json if there is one. A line is
{"image", "scene", "split", "room", "texture", "question", "phrasing", "text", "steps", "truth", "camera", "rig"}.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nav_vlm_node.errors import UserError
from nav_vlm_node.score import Truth
from nav_vlm_node.score_json import truth_from_json
from nav_vlm_node.view import Camera, Rectifier, Rig, View

LINES, CARD = "questions.jsonl", "card.json"
LEARNT = ("train", "val")  # splits that are not evaluated unless they are named
TRAIN = "train"
Image = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Sample:
    """One question about one picture. number: of its line, from 0. image: relative to the data set's folder.

    text: the good guide's answer in canonical words. phrasing, texture: "train" or "heldout".
    earlier: pictures by the same camera from just before, three a second, the oldest first; mostly none.
    """

    number: int
    image: str
    scene: str
    split: str
    room: str
    texture: str
    phrasing: str
    question: str
    text: str
    truth: Truth
    camera: Camera
    rig: Rig
    earlier: tuple[str, ...] = ()

    def frames(self, count: int) -> tuple[str, ...]:
        """Its last `count` pictures, the newest last; where the camera had just begun, its first one stands for those
        before it."""
        names = (*self.earlier, self.image)[-count:]
        return (names[0],) * (count - len(names)) + names


@dataclass(frozen=True)
class Dataset:
    """All questions of a data set. command: that made it.

    sha256: of the data, by its card; of its lines where there is none, or where they are not the card's.
    """

    folder: Path
    name: str
    sha256: str
    seed: int | None
    command: str
    samples: tuple[Sample, ...]

    @property
    def splits(self) -> tuple[str, ...]:
        """In the order of the lines."""
        return tuple(dict.fromkeys(sample.split for sample in self.samples))


def read_dataset(path: Path) -> Dataset:
    """A folder, or a JSONL file in one. Raises UserError that names the line or the file that is wrong."""
    lines = path / LINES if path.is_dir() else path
    if not lines.is_file():
        raise UserError(
            f"no data set at {path} (no {LINES}); make one with: nav-vlm-sim dataset, or nav-vlm-train prepare"
        )
    samples = []
    with lines.open("rb") as file:
        for number, line in enumerate(file):
            if line.strip():
                samples.append(_sample(number, line, lines))
    if not samples:
        raise UserError(f"{lines} holds no questions; make the data set again with: nav-vlm-sim dataset")
    folder = lines.parent
    card = _card(folder / CARD)
    found = hashlib.sha256(lines.read_bytes()).hexdigest()
    # Lines that somebody changed are another data set: no run goes on with them as if they were the card's.
    of_card = card.get("data_sha256") if card.get("lines_sha256", found) == found else None
    _check_pictures(folder, samples)
    seed, command = card.get("seed"), str(card.get("command", ""))
    return Dataset(folder, folder.resolve().name, str(of_card or found), seed, command, tuple(samples))


def select(samples: Sequence[Sample], splits: Sequence[str] = (), limit: int = 0, seed: int = 0) -> list[Sample]:
    """Those to evaluate, in their order: of `splits`, by default of all but train and val if there are others.

    limit: at most so many, drawn at random by `seed`; 0 for all. Raises UserError for a split that is not there.
    """
    there = list(dict.fromkeys(sample.split for sample in samples))
    for split in splits:
        if split not in there and split != "all":
            raise UserError(f"no split {split!r} in the data: there are {', '.join(there)}")
    usual = [split for split in there if split not in LEARNT] or there
    wanted = there if "all" in splits else list(splits) or usual
    chosen = [sample for sample in samples if sample.split in wanted]
    if 0 < limit < len(chosen):
        kept = sorted(random.Random(seed).sample(range(len(chosen)), limit))
        chosen = [chosen[i] for i in kept]
    return chosen


class Pictures:
    """Pictures of a data set as a model sees them: rectified by camera and rig, as in the node's guide."""

    def __init__(self, folder: Path, view: View) -> None:
        self._folder = folder
        self._view = view
        self._rectifiers: dict[tuple[Camera, Rig], Rectifier] = {}

    def __call__(self, sample: Sample) -> Image:
        """uint8 [view.height, view.width, 3] RGB. Raises UserError for a picture that does not open or fit."""
        key = (sample.camera, sample.rig)
        if key not in self._rectifiers:
            if len(self._rectifiers) >= 8:  # a data set in which every picture has a camera of its own
                self._rectifiers.clear()
            self._rectifiers[key] = Rectifier(*key, self._view)
        try:
            return self._rectifiers[key](read_picture(self._folder / sample.image))
        except UserError as error:
            raise UserError(f"{self._folder / sample.image}: {error}") from None


def read_picture(path: Path) -> Image:
    """uint8 [H, W, 3] RGB. Raises UserError."""
    from PIL import Image as Pillow

    try:
        with Pillow.open(path) as picture:
            return np.asarray(picture.convert("RGB"), np.uint8)
    except (OSError, ValueError, SyntaxError, Pillow.DecompressionBombError):
        raise UserError(f"{path} is no picture that can be read; make the data set again") from None


def _sample(number: int, line: bytes, path: Path) -> Sample:
    where = f"{path} line {number + 1}"
    try:
        data = json.loads(line)
        if not isinstance(data, dict):
            raise UserError("it is no JSON object")
        for key in ("image", "question", "camera"):
            if not data.get(key):
                raise UserError(f"it has no {key!r}")
        camera = dict(data["camera"])
        return Sample(
            number=number,
            image=_inside(str(data["image"])),
            scene=str(data.get("scene", data["image"])),
            split=str(data.get("split", "all")),
            room=str(data.get("room", "")),
            texture=str(data.get("texture", "")),
            phrasing=str(data.get("phrasing", "")),
            question=str(data["question"]),
            text=str(data.get("text", "")),
            truth=truth_from_json(data),
            camera=Camera(**{**camera, "d": tuple(camera.get("d", ()))}),
            rig=Rig(**data.get("rig", {})),
            earlier=tuple(_inside(str(image)) for image in data.get("earlier", ())),
        )
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(f"{where} is not a data-set line ({str(error).splitlines()[0]}); make the data again") from None


def _inside(image: str) -> str:
    path = Path(image)
    if path.is_absolute() or ".." in path.parts:
        raise UserError(f"its image {image!r} is outside the data set's folder; give a path inside it")
    return image


def _card(path: Path) -> dict[str, Any]:
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return card if isinstance(card, dict) else {}


def _check_pictures(folder: Path, samples: Iterable[Sample]) -> None:
    images = dict.fromkeys(image for s in samples for image in (s.image, *s.earlier))
    missing = [image for image in images if not (folder / image).is_file()]
    if missing:
        raise UserError(
            f"{len(missing)} pictures of {folder} are missing, the first is {missing[0]}; make the data again"
        )
