"""How much is made of each question, and which of it one pass over the data sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nav_vlm_training.augment.example import Example


@dataclass(frozen=True, kw_only=True)
class Augment:
    """mirror: half of the passes see the mirrored scene. light: changes of light per picture, besides the plain one.
    rephrase: answers in other words, at most so many per answer, besides its own."""

    mirror: bool = False
    light: int = 0
    rephrase: int = 0


@dataclass(frozen=True)
class Pool:
    """The questions to learn from. may_mirror: for each, whether it can be. reworded: answer -> others that say it.
    weights: how often to draw each, None for equally often."""

    examples: Sequence[Example]
    may_mirror: Sequence[bool]
    reworded: Mapping[str, Sequence[str]]
    weights: tuple[float, ...] | None = None

    def __len__(self) -> int:
        return len(self.examples)

    def draw(self, row: int, epoch: int, augment: Augment, seed: int) -> Example:
        """Question `row` as pass `epoch` sees it; always the same for the same arguments."""
        rng = np.random.default_rng([seed, 11, epoch, row])
        example = self.examples[row]
        mirror, light = bool(rng.random() < 0.5), int(rng.integers(0, augment.light + 1))
        wordings = (example.told, *self.reworded.get(example.told, ())[: augment.rephrase])
        told = wordings[int(rng.integers(0, len(wordings)))]
        mirrored = augment.mirror and mirror and self.may_mirror[row]
        return replace(example, told=told, mirrored=mirrored, light=light)
