"""One walk: somebody asks, is told, does it, and asks again, until they are there or give up."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from nav_vlm_node.errors import UserError
from nav_vlm_node.instruction import Action, Instruction, Status, Step
from nav_vlm_node.score import OFF_CENTRE, side, told, wrap
from nav_vlm_node.session import Place
from nav_vlm_sim.furniture import Item
from nav_vlm_sim.scene import Pose
from nav_vlm_sim.truth import MEMBERS, ON_WALLS
from nav_vlm_sim.walks.building import Building, build
from nav_vlm_sim.walks.crowd import Crowd
from nav_vlm_sim.walks.floorplan import EXIT_SIGN, OPEN_DOOR, FloorPlan, Walk
from nav_vlm_sim.walks.rig import Odometry, camera_pose
from nav_vlm_sim.walks.space import TIGHT, Point, Space, length_of, solids_of
from nav_vlm_sim.walks.walker import BODY, LEG, MANNERS, Moment, Touches, Walker

Picture = npt.NDArray[np.uint8]

ARRIVED = 1.0  # metres from the body's middle to the goal, with no wall between: the cane finds it
SHORT = 0.5  # metres: a leg shorter than this is not worth a sentence
MOST_TIME = 300.0  # seconds after which somebody gives up
MOST_QUESTIONS = 60
THINKING = 1.0  # seconds from question to answer
WORDS_PER_SECOND = 3.0  # of speech


@dataclass(frozen=True, kw_only=True)
class Situation:
    """What a guide may know when it is asked. Only an oracle looks at world and body."""

    question: str
    goal: str
    place: Place  # by odometry
    time: float
    picture: Callable[[], Picture]
    world: Space
    body: Walker
    way: list[Point]  # the shortest safe path from here


class Guiding(Protocol):
    """Who answers. One episode after the other; `begin` before each."""

    def begin(self, seed: int) -> None:
        """Forget the last episode."""

    def tell(self, situation: Situation) -> Instruction:
        """What to do."""


@dataclass
class Turn:
    """One question and answer. time, x, y, yaw: of the question, and of its picture. late: seconds until the answer is
    heard, in which somebody may have walked on; it is judged from there, and not at all by who has arrived meanwhile.
    wanted: the bearing of where the way goes as far as one can see [rad]. reversal: the answer sends to the other side,
    and neither along the way around something nor to another goal of that name in sight, nor, where the exit is the
    goal, to an exit sign in sight; None where it gives no direction, or the way is nearly ahead. astray: the same of an
    answer that only looks elsewhere or leads on by memory. away: a direction leads more than a right angle away from
    all that; None where there is none. leg: the answer has somebody walk. people: [x, y, heading] of everybody who
    moves, in the crowd's order, at the question."""

    time: float
    x: float
    y: float
    yaw: float
    status: str
    text: str
    direction: float
    wanted: float
    reversal: bool | None
    astray: bool | None = None
    away: bool | None = None
    leg: bool = False
    people: list[list[float]] = field(default_factory=list)
    late: float = 0.0

    @property
    def searching(self) -> bool:
        """Whether the answer only leads on by memory: it is no direction to the goal."""
        return self.status == Status.SEARCHING.name


@dataclass
class Episode:
    """What happened. shortest: metres of the shortest safe path to where the walk counts as arrived; reference: that
    path. silent: seconds in which nothing was said and nobody walked, also those of turning on the spot."""

    plan: str
    seed: int
    walk: Walk
    arrived: bool = False
    time: float = 0.0
    length: float = 0.0
    shortest: float = 0.0
    silent: float = 0.0
    words: int = 0
    turns: list[Turn] = field(default_factory=list)
    track: list[Moment] = field(default_factory=list)
    reference: list[Point] = field(default_factory=list)
    touches: Touches = field(default_factory=Touches)


class Stage:
    """A building with everything in it, ready to be walked. draw: a picture from a pose, or None for no camera.

    Raises UserError where a walk begins in something.
    """

    def __init__(self, plan: FloorPlan, draw: Callable[[Building, Crowd, Pose], Picture] | None = None) -> None:
        self.building = build(plan)
        self.space = Space(solids_of(self.building, leave_out=self.building.scene.speeds))
        self.draw = draw
        self._near: dict[int, list[Point]] = {}
        self._places: dict[str, tuple[Point, ...]] = {}
        for walk in plan.walks:
            gap, solid = self.space.nearest(walk.x, walk.y)
            if gap < BODY:
                where = f"floor plan {plan.name!r}: walk from {walk.x:g}, {walk.y:g}"
                raise UserError(f"{where} begins in a {solid.kind}; give a place {BODY:g} metres from everything")

    def picture(self, crowd: Crowd, pose: Pose) -> Picture:
        """What the camera shows from there, with everybody where they are."""
        assert self.draw is not None, "this stage has no camera"
        return self.draw(self.building, crowd, pose)

    def goals(self, name: str) -> list[Item]:
        """All things of that name in the building."""
        return [item for item in self.building.scene.items if item.kind in MEMBERS.get(name, (name,))]

    def way(self, start: Point, goal: str) -> list[Point]:
        """The shortest safe path to the nearest goal of that name, up to where it counts as arrived; [] for none."""
        if goal not in self._places:
            self._places[goal] = tuple(to for item in self.goals(goal) for to in self._approaches(item))
        found = self.space.path(start, self._places[goal])
        return self._cut(found, goal) if found else []

    def _approaches(self, item: Item) -> list[Point]:
        """Where somebody can stand who is at a thing: before it, or anywhere around what stands free, on this side of
        the walls."""
        known = self._near.get(id(item))
        if known is None:
            known = [point for point in around(item) if self.space.nearest(*point)[0] >= TIGHT]
            if item.kind not in ON_WALLS:
                known = [point for point in known if self.space.in_sight(point, (item.x, item.y))]
            self._near[id(item)] = known
        return known

    def bearings(self, body: Walker, goal: str) -> list[float]:
        """Where the goals of that name are that nothing hides from somebody who stands there [rad]."""
        here = (body.x, body.y)
        shown = [g for g in self.goals(goal) if any(self.space.in_sight(here, spot) for spot in spots_of(g))]
        return [_bearing(body, (item.x, item.y)) for item in shown]

    def arrived(self, x: float, y: float, goal: str) -> bool:
        """Whether somebody who stands there has arrived."""
        for item in self.goals(goal):
            if gap_to(item, x, y) <= ARRIVED:
                places = self._approaches(item) if item.kind in (*ON_WALLS, "stairs") else [(item.x, item.y)]
                if any(self.space.in_sight((x, y), to) for to in places):
                    return True
        return False

    def _cut(self, way: list[Point], goal: str) -> list[Point]:
        kept = [way[0]]
        for a, b in itertools.pairwise(way):
            for point in _along(a, b):
                if self.arrived(*point, goal):
                    return [*kept, point]
            kept.append(b)
        return kept


def around(item: Item) -> list[Point]:
    """Places at a thing: before what hangs on a wall or leads up from it, on both sides of an open door, on all sides
    of what stands free."""
    if item.kind in (*ON_WALLS, "stairs"):
        sides = (item.yaw, item.yaw + math.pi) if item.kind == OPEN_DOOR else (item.yaw,)
        ahead = [(r, facing + a) for facing in sides for r in (0.5, 0.4, 0.7) for a in (0.0, 0.4, -0.4)]
        return [(item.x + r * math.cos(a), item.y + r * math.sin(a)) for r, a in ahead]
    corners = item.corners()
    middle = corners.mean(axis=0)
    reach = float(np.linalg.norm(corners - middle, axis=1).max()) + TIGHT
    bearings = np.arange(16) * math.tau / 16
    return [
        (float(middle[0] + r * math.cos(a)), float(middle[1] + r * math.sin(a)))
        for r in (reach, reach + 0.2) for a in bearings
    ]  # fmt: skip


def spots_of(item: Item) -> list[Point]:
    """Where something is as far as sight goes: before what is part of a wall, whatever else stands there."""
    return around(item) if item.kind in (*ON_WALLS, "stairs") else [(item.x, item.y)]


def gap_to(item: Item, x: float, y: float) -> float:
    """Metres from a point to a thing."""
    if not len(item.footprint):
        return math.dist((x, y), (item.x, item.y))
    corners = item.corners()
    edges = np.roll(corners, -1, axis=0) - corners
    offset = np.array([x, y]) - corners
    t = ((offset * edges).sum(1) / np.maximum((edges**2).sum(1), 1e-12)).clip(0, 1)
    return float(np.linalg.norm(offset - t[:, None] * edges, axis=1).min())


def run(
    stage: Stage,
    walk: Walk,
    guide: Guiding,
    seed: int,
    manner: str = "average",
    *,
    thinking: float = THINKING,
    watch: Callable[[Walker], None] = lambda body: None,
) -> Episode:
    """Walks it once. The same arguments give the same episode, as far as the guide does.

    thinking: seconds that the wearer stands and waits for each answer. watch: called after every tick of the walk.
    """
    rng = np.random.default_rng([seed, 808])
    crowd = Crowd.of(stage.building, stage.space)
    odometry = Odometry(seed)

    def seen(body: Walker) -> None:
        odometry.step(body.x, body.y, body.yaw)
        watch(body)

    body = Walker(
        MANNERS[manner], stage.space, crowd, rng, walk.x, walk.y, math.radians(walk.yaw), watch=seen,
        there=lambda x, y: stage.arrived(x, y, walk.goal),
    )  # fmt: skip
    episode = Episode(stage.building.plan.name, seed, walk, touches=body.touches, track=body.track)
    episode.reference = stage.way((walk.x, walk.y), walk.goal)
    episode.shortest = length_of(episode.reference)
    question = f"How do I get to the {walk.goal}?"
    guide.begin(seed)
    while body.time < MOST_TIME and len(episode.turns) < MOST_QUESTIONS:
        if stage.arrived(body.x, body.y, walk.goal):
            break
        way = stage.way((body.x, body.y), walk.goal)
        situation = Situation(
            question=question, goal=walk.goal, place=odometry.place, time=body.time,
            picture=lambda: stage.picture(crowd, camera_pose(seed, body.time, body.x, body.y, body.yaw)),
            world=stage.space, body=body, way=way,
        )  # fmt: skip
        asked, people = body.track[-1], [[round(v, 3) for v in (p.x, p.y, p.heading)] for p in crowd.people]
        instruction = guide.tell(situation)
        if late := body.time > asked.time:  # who walks on meanwhile hears the answer elsewhere
            way = stage.way((body.x, body.y), walk.goal)
        too_late = late and stage.arrived(body.x, body.y, walk.goal)
        episode.turns.append(_turn(stage, walk, asked, body, [] if too_late else way, instruction))
        episode.turns[-1].people = people
        if too_late:
            break
        words = len(instruction.text.split())
        episode.words += words
        body.wait(thinking + words / WORDS_PER_SECOND + MANNERS[manner].reaction)
        body.obey([as_heard(step) for step in instruction.steps])
    episode.arrived = body.time <= MOST_TIME and stage.arrived(body.x, body.y, walk.goal)
    episode.time = body.time
    still = sum(b.time - a.time for a, b in itertools.pairwise(body.track) if (a.x, a.y) == (b.x, b.y))
    episode.silent = max(0.0, still - episode.words / WORDS_PER_SECOND)
    episode.length = sum(math.dist((a.x, a.y), (b.x, b.y)) for a, b in itertools.pairwise(body.track))
    return episode


def as_heard(step: Step) -> Step:
    """As a message carries it, in single precision: a walk over ROS 2 is the same to the last picture."""
    return replace(step, bearing=float(np.float32(step.bearing)), distance=float(np.float32(step.distance)))


def _turn(stage: Stage, walk: Walk, asked: Moment, body: Walker, way: list[Point], instruction: Instruction) -> Turn:
    """asked: when and from where. body: where the answer is heard. way: from there; [] where nobody needs one."""
    wanted = _bearing(body, far_end(stage.space, way))
    sent, _ = told(instruction.steps)
    wrong = away = None
    if not math.isnan(sent) and not math.isnan(wanted):
        told_by = (walk.goal, EXIT_SIGN) if walk.goal == "exit" else (walk.goal,)
        shown = [bearing for name in told_by for bearing in stage.bearings(body, name)]
        fine = [wanted, _bearing(body, first_leg(stage.space, way)), *shown]
        off = min(abs(wrap(sent - bearing)) for bearing in fine if not math.isnan(bearing))
        away = off > math.pi / 2
        if abs(wanted) >= OFF_CENTRE:
            wrong = side(sent) * side(wanted) < 0 and off > OFF_CENTRE
    leads = instruction.status in (Status.OK, Status.NOT_VISIBLE)
    return Turn(
        asked.time, asked.x, asked.y, asked.yaw, instruction.status.name, instruction.text,
        sent if leads else math.nan, wanted, wrong if leads else None,
        wrong if instruction.status is Status.SEARCHING else None, away if leads else None,
        any(step.action is Action.MOVE for step in instruction.steps), late=body.time - asked.time,
    )  # fmt: skip


def first_leg(space: Space, way: Sequence[Point]) -> Point | None:
    """The farthest point up to LEG metres along a way to which nothing stands in the way; None of no way."""
    if not way:
        return None
    here, best, so_far, last = way[0], way[0], 0.0, way[0]
    for point in way[1:]:
        length = math.dist(last, point)
        share = 1.0 if so_far + length <= LEG or length == 0 else (LEG - so_far) / length
        there = (last[0] + share * (point[0] - last[0]), last[1] + share * (point[1] - last[1]))
        if math.dist(here, best) < SHORT or space.clear(here, there, TIGHT - 0.02):
            best = there
        so_far, last = so_far + length, point
        if so_far >= LEG:
            break
    return best


def far_end(space: Space, way: Sequence[Point]) -> Point | None:
    """The last point along a way that no wall hides from its beginning; None of no way."""
    legs = [_along(a, b) for a, b in itertools.pairwise(way)]
    return next((p for leg in reversed(legs) for p in reversed(leg) if space.in_sight(way[0], p)), None)


def _along(a: Point, b: Point) -> list[Point]:
    """Points 0.1 metres apart from the one, which is left out, to the other."""
    shares = np.linspace(0, 1, max(2, math.ceil(math.dist(a, b) / 0.1)))[1:]
    return [(a[0] + float(t) * (b[0] - a[0]), a[1] + float(t) * (b[1] - a[1])) for t in shares]


def _bearing(body: Walker, point: Point | None) -> float:
    return math.nan if point is None else wrap(math.atan2(point[1] - body.y, point[0] - body.x) - body.yaw)
