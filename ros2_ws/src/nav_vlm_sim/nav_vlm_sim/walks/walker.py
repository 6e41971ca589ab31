"""Somebody with a long cane who hears an instruction and does what people do with it.

They turn too far, walk legs of at most 2 metres and then ask again, slow down where the cane or a warning finds
something, go around it where the cane finds room, and touch things. A disc on the floor; metres, seconds, radians.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from nav_vlm_node.instruction import Action, Step
from nav_vlm_node.language import Style, resolve
from nav_vlm_node.score import told, wrap
from nav_vlm_sim.furniture import Rng
from nav_vlm_sim.walks.crowd import Crowd
from nav_vlm_sim.walks.space import Space

BODY = 0.25  # metres, the disc's radius
LEG = 2.0  # metres, the longest walk before the next question
TICK = 0.1  # seconds
SLOW = 0.4  # m/s, where the cane has found something, or a warning was heard
HARD = 0.5  # m/s: touching something slower than this is a contact, faster a collision
NEAR_MISS = 0.1  # metres between the body and what it passes at full speed
CLOSE = 0.12  # metres before something that the cane has found, where one stops
PROBE = 0.05  # metres between the places that the cane is laid to
AROUND = 1.0  # metres
WARNED = 1.2  # metres before a hazard that was called, from which one walks slowly
ASIDE = tuple(math.radians(a) for a in (30, -30, 50, -50, 70, -70, 90, -90))
MISSED_BY_CANE = ("table", "trolley", "plant", "person")  # what a cane can pass under, or which moves


@dataclass(frozen=True, kw_only=True)
class Manner:
    """How somebody walks. over_turn: mean and standard deviation of what a spoken turn is overdone by [rad]: 17 degrees
    (Ahmetovic et al. 2018, "Turn right"), and never by more than the turn itself. length: standard deviation of a leg,
    as a share. veer: standard deviation of the drift off the line, rad per metre. cane: metres that it reaches ahead
    of the body's middle. missed: how often it passes what it can pass. reaction: seconds. turning: rad/s."""

    name: str
    speed: float
    turning: float = math.radians(60)
    over_turn: tuple[float, float] = (math.radians(17), math.radians(8))
    length: float = 0.08
    veer: float = math.radians(2)
    cane: float = 1.0
    missed: float = 0.03
    reaction: float = 1.0


MANNERS = {
    manner.name: manner
    for manner in (
        Manner(name="careful", speed=0.6, missed=0.01, reaction=1.5),
        Manner(name="average", speed=0.8),
        Manner(name="hasty", speed=1.1, missed=0.08, cane=0.9, reaction=0.6),
    )
}


@dataclass(frozen=True)
class Moment:
    """Where somebody was, and when."""

    time: float
    x: float
    y: float
    yaw: float


@dataclass
class Touches:
    """How often something was met: fast, slowly, or almost."""

    collisions: int = 0
    contacts: int = 0
    near_misses: int = 0


def _unwatched(walker: Walker) -> None:
    """Nobody looks."""


def _nowhere(x: float, y: float) -> bool:
    return False


@dataclass
class Walker:
    """space: all that stands still. crowd: who moves. x, y, yaw: where they are and face. there: whether the cane
    finds what they look for from a place; then they stop. watch: called after every TICK."""

    manner: Manner
    space: Space
    crowd: Crowd
    rng: Rng
    x: float
    y: float
    yaw: float
    time: float = 0.0
    touches: Touches = field(default_factory=Touches)
    track: list[Moment] = field(default_factory=list)
    there: Callable[[float, float], bool] = _nowhere
    watch: Callable[[Walker], None] = _unwatched
    _touching: set[object] = field(default_factory=set)
    _passing: set[object] = field(default_factory=set)
    _nearly: set[object] = field(default_factory=set)  # of those, what is counted as a near miss
    _unnoticed: dict[object, bool] = field(default_factory=dict)
    _near: tuple[tuple[float, float], Space] | None = None

    def __post_init__(self) -> None:
        self._log()

    def obey(self, steps: Sequence[Step]) -> None:
        """Does what was said, as far as one leg: turns, and walks; where something is only located, goes towards it.

        What was said are the numbers as they are spoken, and not those of the steps.
        """
        steps = resolve(steps, Style())
        self._unnoticed.clear()
        cautions = [step for step in steps if step.action is Action.CAUTION]
        motion = [step for step in steps if step.action in (Action.TURN, Action.MOVE)]
        if not motion:
            direction, distance = told(steps)
            if math.isnan(direction):
                if any(step.action is Action.SCAN for step in steps):
                    self.turn(math.radians(45))
                return
            motion = [Step(Action.TURN, direction), Step(Action.MOVE, 0.0, distance)]
        walked = False
        for step in motion:
            if step.action is Action.TURN and not math.isnan(step.bearing):
                self.turn(step.bearing)
            elif step.action is Action.MOVE:
                if not math.isnan(step.bearing) and abs(step.bearing) > math.radians(2):
                    self.turn(step.bearing)
                if walked or not self.walk(LEG if math.isnan(step.distance) else step.distance, cautions):
                    return  # a second leg is asked for again
                walked = not math.isnan(step.distance) and step.distance > LEG
                if walked:
                    return

    def wait(self, seconds: float) -> None:
        """Stands still while the others go on."""
        for _ in range(round(seconds / TICK)):
            self._tick(0.0)

    def stroll(self, seconds: float) -> None:
        """Walks on slowly for so long, as people do who wait for an answer; stops where the cane finds something."""
        for _ in range(round(seconds / TICK)):
            stop = self.there(self.x, self.y) or self._free(self.yaw, self.manner.cane) < CLOSE
            if stop or not self._step(SLOW * TICK, SLOW):
                self._tick(0.0)

    def turn(self, angle: float) -> None:
        """Turns on the spot, and further than was said."""
        if abs(angle) < math.radians(1):
            return
        mean, spread = self.manner.over_turn
        over = min(max(0.0, self.rng.normal(mean, spread)), abs(angle))
        self._rotate(angle + math.copysign(over, angle))

    def _rotate(self, angle: float) -> None:
        ticks = max(1, round(abs(angle) / self.manner.turning / TICK))
        for _ in range(ticks):
            self.yaw = wrap(self.yaw + angle / ticks)
            self._tick(0.0)

    def walk(self, distance: float, cautions: Iterable[Step] = ()) -> bool:
        """One leg straight on. False where it ended early."""
        length = min(distance, LEG) * (1 + self.rng.normal(0, self.manner.length))
        warned = min((step.distance for step in cautions if not math.isnan(step.distance)), default=math.inf)
        drift = self.rng.normal(0, self.manner.veer)
        gone = 0.0
        while gone < length and not self.there(self.x, self.y):
            free = self._free(self.yaw, self.manner.cane)
            if free < CLOSE:
                self._go_around()
                return False
            slow = free < self.manner.cane - PROBE or gone > warned - WARNED
            speed = SLOW if slow else self.manner.speed
            step = min(speed * TICK, length - gone)
            self.yaw = wrap(self.yaw + drift * step)
            if not self._step(step, speed):
                self._go_around()
                return False
            gone += step
        return True

    def _go_around(self) -> None:
        """Where the cane finds room beside what is in the way: a step or two there, and back to the old heading."""
        self.wait(0.5)
        free = {angle: self._free(self.yaw + angle, self.manner.cane) for angle in ASIDE}
        best = max(ASIDE, key=lambda angle: (round(min(free[angle], 0.8), 1), -abs(angle)))
        if free[best] < 0.3:
            return
        self._rotate(best + self.rng.normal(0, math.radians(5)))
        left = min(0.7, free[best] - 0.05)
        while left > 0 and self._step(min(SLOW * TICK, left), SLOW):
            left -= SLOW * TICK
        self._rotate(-best + self.rng.normal(0, math.radians(8)))

    def _around(self) -> Space:
        """What stands near enough to matter for the next steps."""
        if self._near is None or math.dist(self._near[0], (self.x, self.y)) > AROUND / 2:
            self._near = (self.x, self.y), self.space.around(self.x, self.y, AROUND + LEG)
        return self._near[1]

    # ---- touching ------------------------------------------------------------------------------

    def _free(self, heading: float, reach: float) -> float:
        """Metres straight on until the body would meet what the cane finds; `reach` where it finds nothing."""
        along = np.arange(PROBE, reach + 1e-9, PROBE)
        points = np.stack([self.x + along * math.cos(heading), self.y + along * math.sin(heading)], axis=1)
        space = self._around()
        gaps = space.gaps(points)  # [P, solids]
        blocked = gaps < BODY + 0.02
        now = space.gaps(np.array([[self.x, self.y]]))[0]
        for index in np.flatnonzero(blocked.any(0)):
            solid = space.solids[index]
            closer = gaps[:, index].min() < now[index] - 1e-6
            if not closer or (solid.kind in MISSED_BY_CANE and self._misses(solid)):
                blocked[:, index] = False
        for person in self.crowd.people:
            gap = np.hypot(points[:, 0] - person.x, points[:, 1] - person.y) - person.radius
            closer = gap.min() < person.gap(self.x, self.y) - 1e-6  # who stands at their side keeps nobody there
            if gap.min() < BODY + 0.02 and closer and not self._misses(person):
                blocked = np.concatenate([blocked, (gap < BODY + 0.02)[:, None]], axis=1)
        hits = np.flatnonzero(blocked.any(1))
        return float(along[hits[0]] - PROBE) if len(hits) else reach

    def _misses(self, what: object) -> bool:
        if what not in self._unnoticed:
            self._unnoticed[what] = bool(self.rng.random() < self.manner.missed)
        return self._unnoticed[what]

    def _step(self, length: float, speed: float) -> bool:
        """Moves, unless something is in the way: then it is touched."""
        x, y = self.x + length * math.cos(self.yaw), self.y + length * math.sin(self.yaw)
        space = self._around()
        now, gaps = space.gaps(np.array([[self.x, self.y], [x, y]]))
        hit: list[object] = [space.solids[i] for i in np.flatnonzero((gaps < BODY) & (gaps < now - 1e-9))]
        hit += [p for p in self.crowd.people if p.gap(x, y) < BODY and p.gap(x, y) < p.gap(self.x, self.y)]
        for what in hit:
            self._touch(what, speed)
        if hit:
            self._tick(0.0)
            return False
        self.x, self.y = x, y
        self._tick(speed)
        return True

    def _touch(self, what: object, speed: float) -> None:
        if what in self._touching:
            return
        self._touching.add(what)
        if what in self._nearly:  # it was none
            self._nearly.remove(what)
            self.touches.near_misses -= 1
        if speed >= HARD:
            self.touches.collisions += 1
        else:
            self.touches.contacts += 1

    def _tick(self, speed: float) -> None:
        self.time += TICK
        for person in self.crowd.step(TICK, self.x, self.y, BODY):  # who walked into them
            self._touch(person, person.speed)
        if speed == 0.0:  # who stands comes near to nothing
            self._log()
            return
        space = self._around()
        gaps = space.gaps(np.array([[self.x, self.y]]))[0] - BODY
        near: set[object] = {space.solids[i] for i in np.flatnonzero(gaps < NEAR_MISS)}
        near |= {person for person in self.crowd.people if person.gap(self.x, self.y) < BODY + NEAR_MISS}
        self._nearly &= near
        if speed >= HARD:
            new = near - self._passing - self._touching
            self.touches.near_misses += len(new)
            self._nearly |= new
        self._passing = near
        self._touching &= near
        self._log()

    def _log(self) -> None:
        self.track.append(Moment(self.time, self.x, self.y, self.yaw))
        self.watch(self)
