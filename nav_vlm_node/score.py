"""How right the answers are: one scorer for training, replay and walks.

`judge` compares one answer with the truth; `summarise` turns many outcomes into shares with their intervals. What each
share counts stands in `MEASURES`. Angles are radians, left positive; distances are metres.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from nav_vlm_node.instruction import NAN, Action, Status, Step

Kind = Literal["target", "hazard", "unknown", "describe"]
Origin = Literal["geometry", "degrees", "words"]

DIRECTION_TOLERANCE = math.radians(15)
OFF_CENTRE = math.radians(15)  # a target nearer to the centre than this cannot be answered on its wrong side
BEHIND = math.radians(45)  # how far from straight back what a person calls "behind you" may be
SIDED = math.radians(5)  # a direction nearer to straight ahead (or straight back) than this is to neither side
HAZARD_BEARING = math.radians(30)
HAZARD_DISTANCE, HAZARD_SHARE = 0.75, 0.5  # metres; share of the true distance; the larger of the two counts
DISTANCE_SHARE, DISTANCE_STEP = 0.25, 0.25  # share of the true distance; half a step of canonical text, in metres
_EPS = 1e-6


@dataclass(frozen=True)
class Truth:
    """What is so, from geometry, or from what a person answered.

    kind: what was asked for: a way to `target`, what is in the way, a place that does not exist here, the scene.
    bearing, distance: of `target`, NaN where it is not visible. hazards: CAUTION steps, the nearest first.
    steps: what a good guide answers.
    origin: "geometry"; or a person's answer that states its angles in "degrees", or only has "words" for them. What a
    person did not state (NaN) is not known: no distance, hazard or missing hazard is held against an answer for it.
    The bearing of "words" is the one of nav_vlm_node.language (on your left: 90 degrees) and stands for all that those
    words can mean, see `reach`.
    """

    kind: Kind
    target: str = ""
    visible: bool = False
    bearing: float = NAN
    distance: float = NAN
    hazards: tuple[Step, ...] = ()
    steps: tuple[Step, ...] = ()
    origin: Origin = "geometry"


@dataclass(frozen=True)
class Answer:
    """What was answered. A status other than OK gives no direction, whatever the steps say."""

    steps: tuple[Step, ...] = ()
    status: Status = Status.OK


@dataclass(frozen=True)
class Outcome:
    """One answer held against its truth; None where the question does not apply.

    direction: what the answer tells the wearer to do [rad], NaN if nothing. direction_error: how far that is from the
    target [rad], in [0, pi]. hits: per measure whether this question counts for it (absent: no) and how it came out.
    cautions: how many hazards were called, called_right: how many of those exist. landmarks: named rightly, wrongly,
    and not at all.
    """

    truth: Truth
    answer: Answer
    direction: float
    direction_error: float
    hits: Mapping[str, bool]
    cautions: int
    called_right: int
    landmarks: tuple[int, int, int] = field(default=(0, 0, 0))

    @property
    def badness(self) -> float:
        """For lists of the worst answers: a reversal, then a false clear, then how far the direction is off."""
        error = 0.0 if math.isnan(self.direction_error) else self.direction_error
        return 10 * self.hits.get("reversal_rate", False) + 5 * self.hits.get("false_clear_rate", False) + error


@dataclass(frozen=True)
class Share:
    """A measured share with its 95 % Wilson interval; all NaN where nothing was counted."""

    value: float
    low: float
    high: float
    n: int

    def to_json(self) -> dict[str, float | int | None]:
        """JSON knows no NaN: null stands for it."""
        return {"value": null(self.value), "low": null(self.low), "high": null(self.high), "n": self.n}


@dataclass(frozen=True)
class Scores:
    """n: questions. shares: by the names in `MEASURES`."""

    n: int
    shares: Mapping[str, Share]

    def __getitem__(self, measure: str) -> Share:
        return self.shares[measure]

    def to_json(self) -> dict[str, Any]:
        """The keys of `nav-vlm-train evaluate --json`."""
        return {"n": self.n, **{name: share.to_json() for name, share in self.shares.items()}}


def wilson(hits: float, n: float) -> Share:
    """`hits` of `n` with the Wilson score interval at 95 % (Wilson 1927); all NaN for n = 0."""
    if n <= 0:
        return Share(NAN, NAN, NAN, 0)
    z = 1.959963984540054
    share = hits / n
    centre = share + z * z / (2 * n)
    spread = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    # the clamp to the share itself only removes rounding errors at 0 and 1
    return Share(
        share,
        max(0.0, min(share, (centre - spread) / scale)),
        min(1.0, max(share, (centre + spread) / scale)),
        round(n),
    )


def wrap(angle: float) -> float:
    """`angle` in (-pi, pi]; NaN stays NaN."""
    if not math.isfinite(angle):
        return NAN
    wrapped = math.remainder(angle, math.tau)
    return math.pi if wrapped == -math.pi else wrapped


def told(steps: Sequence[Step], target: str = "") -> tuple[float, float]:
    """Where `steps` send the wearer: direction [rad] and distance [m], NaN where they do not say.

    The direction is the sum of the turns up to the first MOVE, plus that MOVE's own bearing; a turn by an unstated
    angle leaves it NaN. Without TURN and MOVE it is the bearing of the LOCATE of `target`, or of a LOCATE without a
    landmark; of any LOCATE where `target` is "". STOP, SCAN and SIGN send nowhere.
    """
    turned, moving = 0.0, False
    for step in steps:
        if step.action is Action.TURN:
            turned, moving = turned + step.bearing, True
        elif step.action is Action.MOVE:
            return wrap(turned + (0.0 if math.isnan(step.bearing) else step.bearing)), step.distance
    if moving:
        return wrap(turned), NAN
    for step in steps:
        if step.action is Action.LOCATE and (not target or step.landmark in (target, "", "place")):
            return wrap(step.bearing), step.distance
    return NAN, NAN


def side(direction: float) -> int:
    """1 for left, -1 for right, 0 for ahead, behind, or nowhere."""
    if math.isnan(direction) or min(abs(direction), math.pi - abs(direction)) < SIDED - _EPS:
        return 0
    return 1 if direction > 0 else -1


def reach(bearing: float, origin: Origin = "geometry") -> float:
    """How far from a true `bearing` a direction is still right [rad]: 15 degrees, for words all that they can mean.

    "Left" (90 degrees) is all from 15 to 165 degrees, "ahead on your left" (45) from 15 to 75; "ahead" is what is not
    off centre, "behind" a quarter of the circle.
    """
    off = abs(bearing)
    if origin != "words" or math.isnan(off):
        return DIRECTION_TOLERANCE
    if off > math.pi - OFF_CENTRE:
        return BEHIND
    return max(DIRECTION_TOLERANCE, min(off, math.pi - off) - OFF_CENTRE)


def _is_hazard(called: Step, hazard: Step, origin: Origin) -> bool:
    """Whether the CAUTION `called` is about `hazard`; what it does not state does not match.

    What a person did not state of `hazard` is not known and matches everything.
    """
    limit = max(HAZARD_BEARING, reach(hazard.bearing, origin))
    near = abs(wrap(called.bearing - hazard.bearing)) <= limit + _EPS
    far = max(HAZARD_DISTANCE, HAZARD_SHARE * hazard.distance)
    close = abs(called.distance - hazard.distance) <= far + _EPS
    if origin == "geometry":
        return near and close
    return (near or math.isnan(hazard.bearing)) and (close or math.isnan(hazard.distance))


def _landmarks(answered: Sequence[Step], expected: Sequence[Step]) -> tuple[int, int, int]:
    """How many landmarks were named rightly, wrongly, and not at all."""
    said = Counter(step.landmark for step in answered if step.landmark)
    meant = Counter(step.landmark for step in expected if step.landmark)
    return (said & meant).total(), (said - meant).total(), (meant - said).total()


def in_order(said: Sequence[Step], meant: Sequence[Step]) -> tuple[int, int]:
    """How many of the steps `meant` are among those `said`, and how many of these at most stand in the order meant.

    Steps are told apart by their action; where `meant` has several of one action, by side and landmark too.
    """
    often = Counter(step.action for step in meant)

    def key(step: Step) -> tuple[Action, int, str]:
        return (step.action, side(step.bearing), step.landmark) if often[step.action] > 1 else (step.action, 0, "")

    first, second = [key(step) for step in said], [key(step) for step in meant]
    longest = [0] * (len(second) + 1)  # of the common subsequences of `said` so far and second[:index]
    for one in first:
        before = longest.copy()
        for index, other in enumerate(second):
            longest[index + 1] = before[index] + 1 if one == other else max(before[index + 1], longest[index])
    return (Counter(first) & Counter(second)).total(), longest[-1]


def judge(answer: Answer, truth: Truth) -> Outcome:
    """`answer` held against `truth`; see `MEASURES` for what each hit means."""
    steps = answer.steps
    denied = answer.status is Status.NOT_VISIBLE or any(step.action is Action.NOT_VISIBLE for step in steps)
    refused = denied or answer.status is not Status.OK or any(step.action is Action.UNKNOWN for step in steps)
    direction, distance = (NAN, NAN) if refused else told(steps, truth.target)
    directed = not math.isnan(direction)
    cautions = [step for step in steps if step.action is Action.CAUTION]

    hits: dict[str, bool] = {}
    error = NAN
    if truth.kind == "target":
        hits["visibility_accuracy"] = directed if truth.visible else denied
        if truth.visible:
            error = abs(wrap(direction - truth.bearing))
            right = error <= reach(truth.bearing, truth.origin) + _EPS
            hits["direction_accuracy"] = right
            hits["coverage"] = directed
            if abs(truth.bearing) >= OFF_CENTRE - _EPS:
                hits["reversal_rate"] = side(direction) * side(truth.bearing) < 0 and not right
            if directed and (truth.origin == "geometry" or not math.isnan(truth.distance)):
                limit = max(DISTANCE_SHARE * truth.distance, DISTANCE_STEP) + _EPS
                hits["distance_within_25"] = abs(distance - truth.distance) <= limit
    elif truth.kind == "unknown":
        anywhere, _ = told(steps) if answer.status is Status.OK else (NAN, NAN)
        hits["unknown_no_direction"] = math.isnan(anywhere)
    if truth.hazards:
        hits["hazard_recall"] = any(_is_hazard(step, truth.hazards[0], truth.origin) for step in cautions)
        hits["false_clear_rate"] = not cautions
    elif truth.kind == "hazard" or (truth.kind == "target" and truth.origin == "geometry"):
        hits["false_alarm_rate"] = bool(cautions)
    elif truth.origin != "geometry":
        cautions = []  # whether they are right is not known
    if len(truth.steps) > 1:
        common, ordered = in_order(steps, truth.steps)
        hits["step_order_accuracy"] = 1 < common == ordered
    return Outcome(
        truth, answer, direction, error, hits, len(cautions),
        sum(any(_is_hazard(step, hazard, truth.origin) for hazard in truth.hazards) for step in cautions),
        _landmarks(steps, truth.steps),
    )  # fmt: skip


def _counted(measure: str) -> Callable[[Sequence[Outcome]], Share]:
    def share(outcomes: Sequence[Outcome]) -> Share:
        hits = [outcome.hits[measure] for outcome in outcomes if measure in outcome.hits]
        return wilson(sum(hits), len(hits))

    return share


def _hazard_precision(outcomes: Sequence[Outcome]) -> Share:
    return wilson(sum(outcome.called_right for outcome in outcomes), sum(outcome.cautions for outcome in outcomes))


def _landmark_f1(outcomes: Sequence[Outcome]) -> Share:
    right, wrong, missed = (sum(outcome.landmarks[index] for outcome in outcomes) for index in range(3))
    return wilson(right, right + (wrong + missed) / 2)


# name -> (what it counts, how it is computed). "Visible" is short for: all questions for a target that is visible.
MEASURES: dict[str, tuple[str, Callable[[Sequence[Outcome]], Share]]] = {
    "direction_accuracy": (
        "visible: the answer's direction is within 15 degrees of the target (or within what a person's words for it can"
        " mean); no direction, an unparsed answer, UNSURE and NOT_VISIBLE are wrong",
        _counted("direction_accuracy"),
    ),
    "reversal_rate": (
        "visible and at least 15 degrees off centre: the answer's direction is on the other side by 5 degrees or more",
        _counted("reversal_rate"),
    ),
    "coverage": ("visible: the answer has a direction", _counted("coverage")),
    "visibility_accuracy": (
        "all questions for a target: a direction to it where it is visible, NOT_VISIBLE where it is not",
        _counted("visibility_accuracy"),
    ),
    "unknown_no_direction": (
        "all questions for a place that is not known: the answer has no direction",
        _counted("unknown_no_direction"),
    ),
    "hazard_recall": (
        "all questions with a hazard in the way: a CAUTION within 30 degrees and max(0.75 m, 50 %) of the nearest one",
        _counted("hazard_recall"),
    ),
    "hazard_precision": ("all CAUTIONs: there is a hazard within those limits", _hazard_precision),
    "false_clear_rate": (
        "all questions with a hazard in the way: the answer has no CAUTION (silence counts as clear)",
        _counted("false_clear_rate"),
    ),
    "false_alarm_rate": (
        "all questions for a target or for what is in the way, with nothing in the way: the answer has a CAUTION",
        _counted("false_alarm_rate"),
    ),
    "distance_within_25": (
        "visible and answered with a direction: the distance is within 25 % of the true one (or 0.25 m, half a step of"
        " canonical text); an unstated distance is wrong",
        _counted("distance_within_25"),
    ),
    "step_order_accuracy": (
        "all questions whose good answer has two steps or more: at least two of them are in the answer, and all that"
        " are stand in the good answer's order",
        _counted("step_order_accuracy"),
    ),
    "landmark_f1": (
        "landmarks named, against the good guide's answer, F1 over all questions; its interval takes the mean of named"
        " and expected landmarks as n",
        _landmark_f1,
    ),
}  # fmt: skip


def summarise(outcomes: Iterable[Outcome]) -> Scores:
    """All measures over `outcomes`, in any order."""
    collected = list(outcomes)
    return Scores(len(collected), {name: compute(collected) for name, (_, compute) in MEASURES.items()})


def null(number: float) -> float | None:
    """JSON knows no NaN: null stands for it."""
    return None if math.isnan(number) else number
