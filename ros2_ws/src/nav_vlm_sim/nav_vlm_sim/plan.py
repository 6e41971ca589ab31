"""What a data set consists of, before anything is drawn: its scenes, and which split each belongs to.

Scenes are numbered by worlds: a world is one set of surface patterns, shared by up to SCENES_PER_SET scenes, and
scene k of world w has the seed w * SCENES_PER_WORLD + k. Worlds 0 to 999,999 are those that models are trained on
(`shards`: training from 0, validation from 900,000); the demo has 2,000,000 and on, the camera node begins at
3,000,000. A data set of seed S takes worlds FIRST_WORLD + S * WORLDS_PER_SEED and on, each for one split only: so no
scene, and no surface pattern, is in two splits, in two data sets of different seeds, or in a data set and in what a
model was trained on.
"""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass
from typing import Any

from nav_vlm_node.errors import UserError
from nav_vlm_sim.scene import HELD_OUT_ROOM, ROOMS
from nav_vlm_sim.textures import FAMILIES
from nav_vlm_sim.world import SCENES_PER_WORLD

FIRST_WORLD = 10_000_000
WORLDS_PER_SEED = 100_000
MOST_SEED = 1_000_000_000  # keeps every scene's number under 2**53, which JSON readers hold exactly
SCENES_PER_SET = 24
MOST_SCENES = SCENES_PER_SET * (WORLDS_PER_SEED - 10)

HELD_OUT_FAMILY = "heldout"
EARLIER = 2  # pictures that come with each of a walk, scene.STEP_TIME apart
# split -> share of the scenes
SHARES = {"train": 0.7, "val": 0.1, "test": 0.1, "heldout_texture": 0.05, "heldout_room": 0.05}
PHRASINGS = ("both", "train", "heldout")
REWORDED_SPLIT = "test"  # here every question is asked twice, in words of either part, where phrasing is "both"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One data set. family, room: what every scene has, "" to have what its split is about.

    phrasing: "train" and "heldout" ask in words of that part only; "both" asks in words of the training part, and in
    the split REWORDED_SPLIT every question a second time in held-out words. walking: people walk, so does the wearer,
    and every picture comes with the EARLIER before it. shares: of the scenes, by split.
    """

    scenes: int
    seed: int
    views: int = 3
    questions: int = 4
    family: str = ""
    room: str = ""
    phrasing: str = "both"
    walking: bool = False
    shares: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("scenes", self.scenes, 1, MOST_SCENES), ("seed", self.seed, 0, MOST_SEED),
            ("views", self.views, 1, 100), ("questions", self.questions, 1, 12),
        ):  # fmt: skip
            if not low <= value <= high:
                raise UserError(f"--{name} {value}: give a whole number from {low} to {high}")
        for name, text, known in (
            ("family", self.family, ("", *FAMILIES)), ("room", self.room, ("", *ROOMS)),
            ("phrasing", self.phrasing, PHRASINGS),
        ):  # fmt: skip
            if text not in known:
                raise UserError(f"--{name} {text!r} is not known; use one of {', '.join(k for k in known if k)}")
        if self.shares and self._held_out_split:
            raise UserError(
                f"--split-shares does not go with held-out material: all of it is in the split {self._held_out_split}"
            )
        if not self.shares:
            object.__setattr__(self, "shares", tuple(self._default_shares().items()))
        possible = self._default_shares()
        for split, share in self.shares:
            if split not in possible:
                raise UserError(f"--split-shares: {split!r} cannot be filled here; use {', '.join(possible)}")
            if not 0 <= share < float("inf"):
                raise UserError(f"--split-shares: {split}={share:g} is no share; give 0 or more")
        if not sum(share for _, share in self.shares) > 0:
            raise UserError("--split-shares: at least one split needs a share above 0")

    @property
    def _held_out_split(self) -> str:
        """The one split that all scenes belong to, where all are of held-out material; else ""."""
        texture, room = self.family == HELD_OUT_FAMILY, self.room == HELD_OUT_ROOM
        return "heldout_both" if texture and room else "heldout_texture" if texture else "heldout_room" if room else ""

    def _default_shares(self) -> dict[str, float]:
        if self._held_out_split:
            return {self._held_out_split: 1.0}
        fixed = {"heldout_texture": self.family, "heldout_room": self.room}
        return {split: share for split, share in SHARES.items() if not fixed.get(split)}

    def to_json(self) -> dict[str, Any]:
        """JSON-ready; equal plans give equal data sets, byte for byte."""
        data = {**asdict(self), "shares": dict(self.shares)}
        if not self.walking:  # data sets that were made when nobody walked stay what they are
            del data["walking"]
        return data

    def command(self) -> str:
        """The command line that makes this data set in the current folder's `data`."""
        words = ["nav-vlm-sim", "dataset", "--scenes", self.scenes, "--seed", self.seed, "--out", "data"]
        words += ["--views", self.views, "--questions", self.questions, "--phrasing", self.phrasing]
        words += ["--family", self.family] if self.family else []
        words += ["--room", self.room] if self.room else []
        words += ["--walking"] if self.walking else []
        if dict(self.shares) != self._default_shares():
            words += ["--split-shares", ",".join(f"{split}={share:g}" for split, share in self.shares)]
        return shlex.join(map(str, words))


@dataclass(frozen=True, slots=True)
class Block:
    """Scenes of one world: what one process draws at a time. count: scenes, from the world's first on."""

    index: int
    split: str
    world: int
    count: int
    family: str
    room: str | None

    def seeds(self) -> range:
        """The scenes' seeds."""
        first = self.world * SCENES_PER_WORLD
        return range(first, first + self.count)


def scenes_of(plan: Plan) -> dict[str, int]:
    """How many scenes each split has: by its share, what is left over to those with the largest remainders."""
    total = sum(share for _, share in plan.shares)
    exact = {split: plan.scenes * share / total for split, share in plan.shares}
    counts = {split: int(number) for split, number in exact.items()}
    by_remainder = sorted(exact, key=lambda split: counts[split] - exact[split])
    for split in by_remainder[: plan.scenes - sum(counts.values())]:
        counts[split] += 1
    return counts


def blocks_of(plan: Plan) -> list[Block]:
    """Every block of the data set, in the order of its lines."""
    blocks: list[Block] = []
    first = FIRST_WORLD + plan.seed * WORLDS_PER_SEED
    for split, scenes in scenes_of(plan).items():
        family = plan.family or (HELD_OUT_FAMILY if split == "heldout_texture" else "train")
        room = plan.room or (HELD_OUT_ROOM if split == "heldout_room" else None)
        for start in range(0, scenes, SCENES_PER_SET):
            count = min(SCENES_PER_SET, scenes - start)
            blocks.append(Block(len(blocks), split, first + len(blocks), count, family, room))
    return blocks


def phrasings_of(plan: Plan, split: str) -> tuple[bool, ...]:
    """Whether each round of questions in this split is asked in held-out words."""
    if plan.phrasing == "both":
        return (False, True) if split == REWORDED_SPLIT else (False,)
    return (plan.phrasing == "heldout",)
