"""What the simulated wearer asks, and where: one picture per question, chosen so that every sort of question occurs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from nav_vlm_node.errors import UserError
from nav_vlm_node.instruction import Action
from nav_vlm_node.score import OFF_CENTRE, Truth
from nav_vlm_sim.camera import SimulatedCamera
from nav_vlm_sim.dataset import truth_of
from nav_vlm_sim.questions import Question, Rng, hazard_question, target_question, unknown_question
from nav_vlm_sim.records import Frame
from nav_vlm_sim.truth import TARGETS, Observation, decided, guide_steps
from nav_vlm_sim.world import SCENES_PER_WORLD

FIRST_WORLD, WORLDS = 2_000_000, 1_000_000  # worlds that no model is trained on and no data set uses; see `plan`
PLACES = 3  # per scene
PATIENCE = 72  # pictures looked at before the sorts that are still missing are replaced by easier ones
MOST_QUESTIONS = 60
NEAREST, FARTHEST = 2.0, 8.0  # metres: between these a target makes a picture that can be read

Ask = Callable[[Observation, Rng, frozenset[str], bool], "Question | None"]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One question about one picture. sort: what it shows, for people."""

    sort: str
    frame: Frame
    question: Question
    truth: Truth


def _target(observation: Observation, name: str | None, rng: Rng, new_words: bool) -> Question | None:
    return None if name is None else target_question(observation, name, rng, new_words=new_words)


def _one(rng: Rng, names: list[str]) -> str | None:
    return names[int(rng.integers(len(names)))] if names else None


def _visible(o: Observation, rng: Rng, used: frozenset[str], new_words: bool) -> Question | None:
    """The way to something in view, to one side, with nothing in between."""
    shown = [n for n in TARGETS if n not in used and decided(o, n) and o.targets[n].visible]
    near = [n for n in shown if NEAREST <= o.targets[n].distance <= FARTHEST and not o.targets[n].hazards]
    return _target(o, _one(rng, [n for n in near if abs(o.targets[n].bearing) >= OFF_CENTRE]), rng, new_words)


def _hindered(o: Observation, rng: Rng, used: frozenset[str], new_words: bool) -> Question | None:
    """The way to something in view, with something in between."""
    shown = [n for n in TARGETS if n not in used and decided(o, n) and o.targets[n].visible]
    return _target(o, _one(rng, [n for n in shown if o.targets[n].hazards]), rng, new_words)


def _hidden(o: Observation, rng: Rng, used: frozenset[str], new_words: bool) -> Question | None:
    """The way to something that nothing in view tells of."""
    names = [n for n in TARGETS if n not in used and decided(o, n) and not o.targets[n].visible]
    scan = [n for n in names if any(step.action is Action.SCAN for step in guide_steps(o, n))]
    return _target(o, _one(rng, scan), rng, new_words)


def _signed(o: Observation, rng: Rng, used: frozenset[str], new_words: bool) -> Question | None:
    """The way to an exit that is not in view, where an exit sign is whose arrow can be made out."""
    signed = decided(o, "exit") and any(step.action is Action.SIGN for step in guide_steps(o, "exit"))
    return _target(o, "exit" if signed and not o.targets["exit"].visible else None, rng, new_words)


def _unknown(o: Observation, rng: Rng, used: frozenset[str], new_words: bool) -> Question | None:
    """The way to something that this system does not know."""
    return unknown_question(o, rng, new_words=new_words)


def _blocked(o: Observation, rng: Rng, used: frozenset[str], new_words: bool) -> Question | None:
    """What is in the way, with something there that is no wall."""
    there = o.ahead_known and o.ahead is not None and o.ahead.landmark != "wall"
    return hazard_question(o, rng, new_words=new_words) if there else None


def _clear(o: Observation, rng: Rng, used: frozenset[str], new_words: bool) -> Question | None:
    """What is in the way, with nothing there."""
    return hazard_question(o, rng, new_words=new_words) if o.ahead_known and o.ahead is None else None


def _anything(o: Observation, rng: Rng, used: frozenset[str], new_words: bool) -> Question | None:
    """The way to anything in view."""
    return _target(o, _one(rng, [n for n in TARGETS if decided(o, n) and o.targets[n].visible]), rng, new_words)


PROGRAMME: tuple[tuple[str, Ask], ...] = (
    ("something in view", _visible),
    ("something in the way", _hindered),
    ("not in view", _hidden),
    ("anything ahead?", _blocked),
    ("an exit sign", _signed),
    ("an unknown place", _unknown),
    ("something in view", _visible),
    ("nothing ahead", _clear),
    ("something in the way", _hindered),
    ("something in view", _visible),
)


def choose(camera: SimulatedCamera, seed: int, count: int, first: Frame | None = None) -> list[Case]:
    """`count` cases, in the order of PROGRAMME over and over; equal for equal arguments.

    camera: its scenes must be drawn by seed. first: `camera.frame(first_scene(seed))`, where it is there already.
    Raises UserError as `check` does.
    """
    check(seed, count)
    rng = np.random.default_rng([first_scene(seed), 505])
    wanted = [PROGRAMME[i % len(PROGRAMME)] for i in range(count)]
    found: dict[int, Case] = {}
    for looked_at, (scene, place) in enumerate(_pictures(seed)):
        if len(found) == count:
            break
        frame = first if first is not None and looked_at == 0 else camera.frame(scene, place)
        taken = frozenset(case.question.target for case in found.values())
        for slot in (i for i in range(count) if i not in found):
            sort, ask = wanted[slot] if looked_at < PATIENCE * (1 + count // 10) else ("something in view", _anything)
            question = ask(frame.observation, rng, taken, slot % 3 == 1)
            if question is not None:
                truth = truth_of(question, frame.observation)
                found[slot] = Case(sort=sort, frame=frame, question=question, truth=truth)
                break
    return [found[slot] for slot in sorted(found)]


def check(seed: int, count: int) -> None:
    """Raises UserError for a seed or a number of questions that cannot be."""
    if not 1 <= count <= MOST_QUESTIONS:
        raise UserError(f"--questions {count}: give 1 to {MOST_QUESTIONS}")
    if not 0 <= seed < WORLDS:
        raise UserError(f"--seed {seed}: give a whole number from 0 to {WORLDS - 1}")


def first_scene(seed: int) -> int:
    """The first scene of the demo of this seed."""
    return (FIRST_WORLD + seed) * SCENES_PER_WORLD


def _pictures(seed: int) -> Iterator[tuple[int, int]]:
    """(scene, place): every scene of the world once, then from the next place in it; then the next worlds."""
    start = first_scene(seed)
    for world in range(5):
        for place in range(PLACES):
            for scene in range(SCENES_PER_WORLD):
                yield start + world * SCENES_PER_WORLD + scene, place


def direction_words(bearing: float) -> str:
    """Like "35 degrees left", "ahead", "behind"; "" for NaN."""
    if math.isnan(bearing):
        return ""
    degrees = round(math.degrees(bearing))
    if degrees == 0:
        return "ahead"
    if abs(degrees) == 180:
        return "behind"
    return f"{abs(degrees)} degrees {'left' if degrees > 0 else 'right'}"
