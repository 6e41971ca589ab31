"""What the model sees of pictures, and a folder that keeps what its vision side makes of them.

Where the vision model is frozen, it says the same of a picture every time; half of the work is then done once. A kept
feature is found by everything that it depends on: the picture file's bytes, the camera and how it is worn, the view and
the processor, mirror and light, the model's weights, the type of numbers.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save

from nav_vlm_node.errors import UserError
from nav_vlm_node.view import View
from nav_vlm_node.vlm.preprocess import Preprocessor
from nav_vlm_training.augment.example import Example
from nav_vlm_training.augment.photometric import relit
from nav_vlm_training.data.samples import Pictures

_NAME = "features"


class FeatureCache:
    """Tensors in a folder, a file each, there whole or not at all; any number of processes may share it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, key: str) -> torch.Tensor | None:
        """None for what is not there; what is damaged is not there."""
        path = self._path(key)
        try:
            return load_file(path)[_NAME]
        except FileNotFoundError:
            return None
        except Exception:  # safetensors raises its own type for a damaged file
            with suppress(OSError):
                path.unlink()
            return None

    def put(self, key: str, features: torch.Tensor) -> None:
        """Raises UserError for a full disk."""
        path = self._path(key)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            draft.write_bytes(save({_NAME: features.contiguous()}))
            draft.replace(path)
        except OSError as error:
            with suppress(OSError):
                draft.unlink()
            raise UserError(
                f"features cannot be kept in {self._folder}: {error.strerror or error}; give another --cache, or "
                "--cache none"
            ) from None

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / f"{key}.safetensors"


class Eyes:
    """Pictures of examples, as pixels or as the vision model's output, on the model's device.

    model: the Blip2ForConditionalGeneration. weights: its identity. frames: pictures per example. cache: None for none.
    """

    def __init__(
        self,
        model: Any,
        preprocessor: Preprocessor,
        pictures: Pictures,
        view: View,
        *,
        folder: Path,
        weights: str,
        frames: int = 1,
        cache: FeatureCache | None = None,
    ) -> None:
        self._model = model
        self._preprocessor = preprocessor
        self._pictures = pictures
        self._folder = folder
        self._frames = frames
        self._cache = cache
        self._dtype = model.language_projection.weight.dtype
        self._same = [asdict(view), asdict(preprocessor), weights, str(self._dtype)]
        self._files: dict[str, str] = {}  # picture -> sha256 of its file

    def pixels(self, examples: Sequence[Example]) -> torch.Tensor:
        """[B, F, 3, S, S]. Raises UserError for a picture that does not open."""
        return torch.stack([self._pixels(example) for example in examples])

    @torch.no_grad()
    def features(self, examples: Sequence[Example]) -> torch.Tensor:
        """[B, F, N, D], the vision model's last hidden states."""
        if self._cache is None:
            pixels = self.pixels(examples)
            return self._look(pixels.flatten(0, 1)).unflatten(0, pixels.shape[:2])
        return torch.stack([self._cached(example) for example in examples])

    def _pixels(self, example: Example) -> torch.Tensor:
        images = example.images(self._pictures, self._frames)
        pixels = self._preprocessor(images, self._model.device)
        if example.light:  # one light for all pictures of a walk
            seed = zlib.crc32(f"{example.sample.image} {example.light}".encode())
            pixels = relit(pixels, [seed] * len(pixels))
        return pixels.to(self._dtype)

    def _look(self, pixels: torch.Tensor) -> torch.Tensor:
        seen: torch.Tensor = self._model.vision_model(pixel_values=pixels, return_dict=True).last_hidden_state
        return seen

    def _cached(self, example: Example) -> torch.Tensor:
        """[F, N, D]. One example by itself: in a batch its last digits would depend on its neighbours, and with them a
        run that goes on would depend on where it was stopped."""
        assert self._cache is not None
        key = self._key(example)
        features = self._cache.get(key)
        if features is None:
            features = self._look(self._pixels(example)).cpu()
            self._cache.put(key, features)
        return features.to(self._model.device)

    def _key(self, example: Example) -> str:
        sample = example.sample
        names = (*sample.earlier, sample.image)[-self._frames :]
        files = [self._file_sha256(name) for name in names]
        light = f"{sample.image} {example.light}" if example.light else ""
        parts = [files, self._frames, asdict(sample.camera), asdict(sample.rig), example.mirrored, light, self._same]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def _file_sha256(self, name: str) -> str:
        if name not in self._files:
            try:
                self._files[name] = hashlib.sha256((self._folder / name).read_bytes()).hexdigest()
            except OSError as error:
                raise UserError(f"{self._folder / name}: {error.strerror or error}; make the data again") from None
        return self._files[name]
