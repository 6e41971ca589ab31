"""Whether a data set's splits leak, read anew from what is on disk: every picture is decoded and hashed."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from nav_vlm_node.errors import UserError
from nav_vlm_training.data import balance
from nav_vlm_training.data.pictures import pixel_hash
from nav_vlm_training.data.samples import Dataset, Sample, read_dataset, read_picture
from nav_vlm_training.data.splits import Leak, Shown, leaks


@dataclass(frozen=True)
class Checked:
    """What was found. pictures: files. contents: how many of them show something different. leaks: none is the proof.

    warning: "" or one line on directions that outweigh the rest.
    """

    data: Dataset
    pictures: int
    contents: int
    leaks: tuple[Leak, ...]
    warning: str


def check(path: Path, *, by_scene: bool = True, quiet: bool = False) -> Checked:
    """Reads all of a data set. by_scene: whether a scene in two splits is a leak. Raises UserError."""
    data = read_dataset(path)
    hashes = hash_pictures(data.folder, _images(data.samples), quiet=quiet)
    shown = [Shown(s.scene, _shown(s), tuple(hashes[image] for image in _shown(s))) for s in data.samples]
    found = leaks(shown, [sample.split for sample in data.samples], by_scene=by_scene)
    warning = balance.unbalanced(sample.truth for sample in data.samples)
    return Checked(data, len(hashes), len(set(hashes.values())), tuple(found), warning)


def hash_pictures(folder: Path, images: Iterable[str], *, quiet: bool = False) -> dict[str, str]:
    """Picture -> hash of what it shows. Raises UserError for one that cannot be read."""
    often = 0.2 if sys.stderr.isatty() else 10.0  # seconds between two lines of a log
    names = list(images)
    if not names:
        raise UserError(f"{folder} holds no pictures")
    bar = tqdm(names, unit="picture", mininterval=often, disable=quiet, desc=str(folder))
    return {name: pixel_hash(read_picture(folder / name)) for name in bar}


def _shown(sample: Sample) -> tuple[str, ...]:
    return (sample.image, *sample.earlier)


def _images(samples: Iterable[Sample]) -> Iterable[str]:
    return dict.fromkeys(image for sample in samples for image in _shown(sample))
