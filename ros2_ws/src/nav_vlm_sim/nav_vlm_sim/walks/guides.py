"""Who guides a walk: the model, and those it is held against under the same walker and seeds."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from nav_vlm_node.frames import Frame
from nav_vlm_node.guide import Guide, GuideOptions
from nav_vlm_node.instruction import Action, Instruction, Status, Step
from nav_vlm_node.language import render
from nav_vlm_node.score import wrap
from nav_vlm_node.vlm.protocol import Engine
from nav_vlm_node.wayfinder import Wayfinder
from nav_vlm_sim.walks.episode import Guiding, Picture, Situation, first_leg
from nav_vlm_sim.walks.rig import CAMERA, RIG
from nav_vlm_sim.walks.walker import LEG

MODEL, ORACLE, BASE, CONSTANT, RANDOM, SHUFFLED = "model", "oracle", "base", "constant", "random", "shuffled"
GUIDES = (MODEL, ORACLE, BASE, CONSTANT, RANDOM, SHUFFLED)
LOOKING = frozenset((MODEL, BASE, SHUFFLED))  # those that look at pictures, with a model
WAY_OFF = 1.0  # metres from the way in which somebody stands in it


class OracleGuide:
    """Knows the building: the first leg of the shortest safe path. What the walker's own errors leave possible."""

    def begin(self, seed: int) -> None:
        """Nothing to forget."""

    def tell(self, situation: Situation) -> Instruction:
        """The bearing and distance of the farthest point of the way that can be walked to directly."""
        body = situation.body
        here = (body.x, body.y)
        point = first_leg(situation.world, situation.way)
        if point is None:
            return _said(Status.SEARCHING, (Step(Action.SCAN),))
        bearing = wrap(math.atan2(point[1] - here[1], point[0] - here[0]) - body.yaw)
        distance = max(0.25, math.dist(here, point))
        cautions = []
        for person in body.crowd.people:
            off = wrap(math.atan2(person.y - here[1], person.x - here[0]) - body.yaw - bearing)
            gap = person.gap(*here)
            if gap < LEG and abs(gap * math.sin(off)) < WAY_OFF and math.cos(off) > 0:
                cautions.append(Step(Action.CAUTION, wrap(bearing + off), max(0.25, gap), "person"))
        steps = (*cautions[:1], Step(Action.TURN, bearing), Step(Action.MOVE, 0.0, distance))
        return _said(Status.OK, steps)


class ConstantGuide:
    """Always the same: what a system says that has learned only what is common."""

    def begin(self, seed: int) -> None:
        """Nothing to forget."""

    def tell(self, situation: Situation) -> Instruction:
        """Ahead."""
        return _said(Status.OK, (Step(Action.MOVE, 0.0, LEG),))


class RandomGuide:
    """Any way."""

    def begin(self, seed: int) -> None:
        """Draws by this seed from now on."""
        self._rng = np.random.default_rng([seed, 811])

    def tell(self, situation: Situation) -> Instruction:
        """A turn of up to half a circle, and a leg."""
        bearing = float(self._rng.uniform(-math.pi, math.pi))
        return _said(Status.OK, (Step(Action.TURN, bearing), Step(Action.MOVE, 0.0, LEG)))


class ModelGuide:
    """The node's guide and guard, and its memory of the way.

    before: what the engine is to be switched to. instead: gives the picture that is looked at in place of the true one.
    """

    def __init__(
        self,
        engine: Engine,
        before: Callable[[], None] = lambda: None,
        instead: Callable[[int, int], Picture] | None = None,
    ) -> None:
        self._wayfinder = Wayfinder(Guide(engine, GuideOptions(rig=RIG)))
        self._before, self._instead = before, instead
        self._seed = self._asked = 0

    def begin(self, seed: int) -> None:
        """A new goal."""
        self._before()
        self._wayfinder.guide.forget()
        self._wayfinder.forget()
        self._seed, self._asked = seed, 0

    def tell(self, situation: Situation) -> Instruction:
        """The answer to the newest picture, as the memory of the way completes it."""
        picture = situation.picture() if self._instead is None else self._instead(self._seed, self._asked)
        self._asked += 1
        frame = Frame(picture, stamp=situation.time, camera=CAMERA)
        return self._wayfinder.answer(frame, situation.question, situation.place)


class DelayedGuide:
    """Another guide's answers, so many seconds late: the wearer walks on slowly meanwhile, as people do."""

    def __init__(self, guide: Guiding, seconds: float) -> None:
        self._guide, self._seconds = guide, seconds

    def begin(self, seed: int) -> None:
        """As the other."""
        self._guide.begin(seed)

    def tell(self, situation: Situation) -> Instruction:
        """The answer to the picture of then."""
        answer = self._guide.tell(situation)
        situation.body.stroll(self._seconds)
        return answer


def _said(status: Status, steps: tuple[Step, ...]) -> Instruction:
    blank = Instruction(query_id="", query="", status=status, text="")
    return replace(blank, steps=steps, text=render(steps))
