from __future__ import annotations

import errno
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from nav_vlm_node.errors import UserError
from nav_vlm_node.vlm.card import read_model_card
from nav_vlm_node.vlm.load import load_model
from nav_vlm_node.vlm.preprocess import Preprocessor
from nav_vlm_training.augment.example import Example
from nav_vlm_training.data.samples import Pictures, read_dataset
from nav_vlm_training.fit.features import Eyes, FeatureCache
from tests.tiny_models import IMAGE_SIZE


class Seen:
    """Eyes on the tiny model, with what counts how often it looks."""

    def __init__(self, model: Path, data: Path, cache: Path | None, weights: str = "w", frames: int = 1) -> None:
        card, read = read_model_card(model), read_dataset(data)
        self.model: Any = load_model(card, "cpu", torch.float32)
        self.looks = 0
        self.model.vision_model.register_forward_hook(self._count)
        self.examples = [Example(sample, sample.question, sample.text) for sample in read.samples[::8]]
        preprocessor = Preprocessor.from_directory(model, IMAGE_SIZE)
        self.eyes = Eyes(
            self.model, preprocessor, Pictures(read.folder, card.view), card.view, folder=read.folder, weights=weights,
            frames=frames, cache=FeatureCache(cache) if cache else None,
        )  # fmt: skip

    def _count(self, *arguments: Any) -> None:
        self.looks += 1


def test_kept_features_are_those_that_would_be_made(models: dict[str, Path], data: Path, tmp_path: Path) -> None:
    without, first, second = (Seen(models["t5"], data, cache) for cache in (None, tmp_path / "c", tmp_path / "c"))
    shown = [replace(e, mirrored=m, light=x) for e in first.examples for m, x in ((False, 0), (True, 0), (False, 2))]
    made = without.eyes.features(shown)
    assert made.shape[:2] == (len(shown), 1)
    torch.testing.assert_close(first.eyes.features(shown), made)
    assert first.looks == len(shown)
    assert second.eyes.features(shown).equal(first.eyes.features(shown))
    assert (first.looks, second.looks) == (len(shown), 0)


def test_what_a_feature_depends_on_is_another_feature(models: dict[str, Path], data: Path, tmp_path: Path) -> None:
    seen = Seen(models["t5"], data, tmp_path / "c")
    example = seen.examples[0]
    sample = example.sample
    others = [
        example,
        seen.examples[1],
        replace(example, mirrored=True),
        replace(example, light=1),
        replace(example, light=2),
        replace(example, sample=replace(sample, rig=replace(sample.rig, camera_pitch=0.3))),
        replace(example, sample=replace(sample, camera=replace(sample.camera, fx=20.0))),
    ]
    keys = {seen.eyes._key(other) for other in others}
    assert len(keys) == len(others)
    keys.add(Seen(models["t5"], data, None, weights="other").eyes._key(example))
    keys.add(Seen(models["t5"], data, None, frames=3).eyes._key(example))
    assert len(keys) == len(others) + 2
    assert seen.eyes._key(replace(example, said="Else?", told="Stop.")) == seen.eyes._key(example)


def test_another_picture_under_the_same_name_is_another_feature(
    models: dict[str, Path], data: Path, tmp_path: Path
) -> None:
    copied = tmp_path / "set"
    for path in (path for path in data.rglob("*") if path.is_file()):
        target = copied / path.relative_to(data)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    before = Seen(models["t5"], copied, None)
    key = before.eyes._key(before.examples[0])
    one, other = (copied / before.examples[i].sample.image for i in (0, 1))
    one.write_bytes(other.read_bytes())
    assert Seen(models["t5"], copied, None).eyes._key(before.examples[0]) != key


def test_a_damaged_file_is_made_again(models: dict[str, Path], data: Path, tmp_path: Path) -> None:
    seen = Seen(models["t5"], data, tmp_path / "c")
    made = seen.eyes.features(seen.examples[:1])
    path = next((tmp_path / "c").rglob("*.safetensors"))
    path.write_bytes(path.read_bytes()[:40])
    assert seen.eyes.features(seen.examples[:1]).equal(made)
    assert seen.looks == 2
    assert not [p for p in (tmp_path / "c").rglob("*") if p.is_file() and p.suffix != ".safetensors"]


def test_a_full_disk_is_one_line(
    models: dict[str, Path], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = Seen(models["t5"], data, tmp_path / "c")

    def full(path: Path, content: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(
        UserError, match=r"features cannot be kept in .*: No space left on device; give another --cache"
    ):
        seen.eyes.features(seen.examples[:1])


def test_a_picture_that_is_gone_is_named(models: dict[str, Path], data: Path, tmp_path: Path) -> None:
    seen = Seen(models["t5"], data, tmp_path / "c")
    lost = replace(seen.examples[0], sample=replace(seen.examples[0].sample, image="images/none.png"))
    with pytest.raises(UserError, match=r"none\.png: No such file"):
        seen.eyes.features([lost])


def test_light_depends_on_the_picture_and_the_number_alone(models: dict[str, Path], data: Path) -> None:
    seen = Seen(models["t5"], data, None)
    one, two = (replace(example, light=1) for example in seen.examples[:2])
    together, alone = seen.eyes.pixels([two, one])[1], seen.eyes.pixels([one])[0]
    assert together.equal(alone)
    assert not alone.equal(seen.eyes.pixels([replace(one, light=0)])[0])
    three = Seen(models["t5"], data, None, frames=3).eyes.pixels([one])
    assert three.shape == (1, 3, 3, IMAGE_SIZE, IMAGE_SIZE)


def test_a_line_may_name_the_pictures_before_its_own(data: Path, tmp_path: Path) -> None:
    (tmp_path / "images").symlink_to(data / "images")
    line = json.loads((data / "questions.jsonl").read_text().splitlines()[0])
    path = tmp_path / "questions.jsonl"
    path.write_text(json.dumps({**line, "earlier": ["images/1-0.png", "images/2-0.png"]}) + "\n")
    assert read_dataset(tmp_path).samples[0].earlier == ("images/1-0.png", "images/2-0.png")
    path.write_text(json.dumps({**line, "earlier": ["images/none.png"]}) + "\n")
    with pytest.raises(UserError, match=r"1 pictures of .* are missing, the first is images/none\.png"):
        read_dataset(tmp_path)


def test_a_file_in_the_caches_place_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("notes")
    cache = FeatureCache(tmp_path / "file")
    assert cache.get("ab" * 32) is None
    with pytest.raises(UserError, match="give another --cache, or --cache none"):
        cache.put("ab" * 32, torch.zeros(2))
    assert (tmp_path / "file").read_text() == "notes"
