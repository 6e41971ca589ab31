"""A data set in milliseconds, of noise and made-up truth; and an engine that sees what is in it."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from nav_vlm_node.instruction import Action, Step
from nav_vlm_node.language import quantise, render_canonical
from nav_vlm_node.score import Truth
from nav_vlm_node.score_json import truth_to_json
from nav_vlm_node.view import Camera, View
from nav_vlm_node.vlm.protocol import EngineInfo, Token
from nav_vlm_training.data.samples import Pictures, Sample, read_dataset

CAMERA = Camera.from_fov(48, 36, math.radians(80))
VIEW = View(width=32, height=32)
THINGS = ("door", "exit", "chair", "stairs")


def make_dataset(
    path: Path, *, scenes: int = 8, views: int = 2, splits: Sequence[str] = ("test",), seed: int = 0, card: bool = True
) -> Path:
    """Writes a data set; scene k is in split k % len(splits), and of every picture the same six things are asked."""
    rng = random.Random(seed)
    lines = []
    (path / "images").mkdir(parents=True)
    for scene in range(scenes):
        split = splits[scene % len(splits)]
        for view in range(views):
            image = f"images/{scene}-{view}.png"
            pixels = np.random.default_rng([seed, scene, view]).integers(0, 256, (36, 48, 3), np.uint8)
            Image.fromarray(pixels).save(path / image)
            for question, truth in questions(rng):
                for phrasing in ("train", "heldout") if split == "test" else ("train",):
                    lines.append(
                        {
                            "image": image, "scene": scene, "split": split,
                            "room": "lounge" if "room" in split else "hall",
                            "texture": "heldout" if "texture" in split else "train",
                            "question": question if phrasing == "train" else f"Please, {question}",
                            "phrasing": phrasing,
                            "text": render_canonical(truth.steps), **truth_to_json(truth),
                            "camera": asdict(CAMERA),
                            "rig": {"camera_yaw": 0.0, "camera_pitch": 0.1, "camera_height": 1.4,
                                    "image_rotation": 0, "mirrored": False},
                        }
                    )  # fmt: skip
    (path / "questions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if card:
        (path / "card.json").write_text(
            json.dumps({"data_sha256": f"{seed:064d}", "seed": seed, "command": "make-data"})
        )
    return path


def questions(rng: random.Random) -> list[tuple[str, Truth]]:
    """What is asked about one picture: each thing, in view (0 to 45 degrees off) or not; hazards; an unknown place."""
    asked = []
    for thing in THINGS:
        visible = thing == "door" or rng.random() < 0.7
        bearing, distance = math.radians(rng.uniform(-45, 45)), rng.uniform(1, 9)
        if not visible:
            steps: tuple[Step, ...] = (Step(Action.NOT_VISIBLE, landmark=thing), Step(Action.SCAN))
            asked.append((f"Where is the {thing}?", Truth("target", thing, steps=steps)))
            continue
        hazards = (Step(Action.CAUTION, bearing, distance / 2, "box"),) if rng.random() < 0.4 else ()
        steps = quantise((*hazards, Step(Action.TURN, bearing), Step(Action.MOVE, 0.0, distance, thing)))
        asked.append((f"Where is the {thing}?", Truth("target", thing, True, bearing, distance, hazards, steps)))
    ahead = (Step(Action.CAUTION, 0.0, 2.0, "chair"),) if rng.random() < 0.5 else ()
    steps = ahead or (Step(Action.NO_HAZARD, distance=3.0),)
    asked.append(("Is there anything in my way?", Truth("hazard", hazards=ahead, steps=steps)))
    asked.append(("Where is the moon?", Truth("unknown", "moon", steps=(Step(Action.UNKNOWN),))))
    return asked


class Seen(str):
    """A picture's name, with what the language model would get of the picture."""

    embeds: torch.Tensor

    def __new__(cls, name: str, image: npt.NDArray[np.uint8]) -> Seen:
        seen = super().__new__(cls, name)
        seen.embeds = torch.from_numpy(image.astype(np.float32)).flatten(0, 1)
        return seen


class SeeingEngine:
    """Stands in for Blip2Engine: knows the data set's pictures by their bytes and gives the right answer to what is
    asked about the one it is shown. Without adapter it only says where things are. calls: batches answered."""

    def __init__(self, folder: Path, view: View = VIEW, adapter: str = "guide") -> None:
        self.info = EngineInfo("seeing", adapter, "cpu", "float32", view, ("guide",))
        data = read_dataset(folder)
        pictures = Pictures(data.folder, view)
        self.lines: dict[tuple[str, str], Sample] = {(s.image, s.question): s for s in data.samples}
        self.images = {pictures(s).tobytes(): s.image for s in data.samples}
        self.frames = 1
        self.calls: list[tuple[str, int]] = []
        self.largest = 0
        self.closed = False

    def encode_batch(self, images: Sequence[npt.NDArray[np.uint8]]) -> list[Any]:
        self.largest = max(self.largest, len(images))
        return [Seen(self.images[image.tobytes()], image) for image in images]

    def generate_batch(
        self, visuals: Sequence[Any], queries: Sequence[str], *, max_new_tokens: int
    ) -> list[tuple[str, list[Token]]]:
        self.calls.append((self.info.adapter, len(queries)))
        texts = [self.answer(image, query) for image, query in zip(visuals, queries, strict=True)]
        return [(text, [Token(text, 0.8)]) for text in texts]

    def answer(self, image: str, query: str) -> str:
        sample = self.lines.get((image, query)) or self.lines[image, query.removeprefix("Please, ")]
        if self.info.adapter:
            return sample.text
        truth = sample.truth
        step = Step(Action.LOCATE, truth.bearing, truth.distance, truth.target)
        return render_canonical((step,)) if truth.visible else sample.text

    def set_adapter(self, name: str) -> None:
        self.info = replace(self.info, adapter=name)

    def close(self) -> None:
        self.closed = True
