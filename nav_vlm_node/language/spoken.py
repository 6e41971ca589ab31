"""Steps to what the wearer hears: in their words for direction and distance, and in their language.

`resolve` says what a style keeps of the numbers; in English, parse(render(steps, style), style.step_length) gives that.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from nav_vlm_node.errors import UserError
from nav_vlm_node.instruction import NAN, Action, Step
from nav_vlm_node.language.canonical import LONGEST_M, arrange, quantise_bearing, quantise_distance
from nav_vlm_node.language.lexicons import LEXICONS, Lexicon
from nav_vlm_node.language.parsing import STEP_LENGTH

Bearings = Literal["degrees", "clock", "left_right"]
Distances = Literal["metres", "steps", "feet"]

FOOT = 0.3048  # metres
MAX_MOVES = 4  # a person keeps about four parts of a route in mind; what comes after can be asked for again
# Half-way between the angles that "left_right" has words for, in degrees: ahead, 20, 45, 90, 135, behind.
_SECTORS = ((10.0, 0), (32.5, 20), (67.5, 45), (112.5, 90), (157.5, 135), (math.inf, 180))


@dataclass(frozen=True, kw_only=True)
class Style:
    """How the wearer wants to hear it. UserError for what is not known.

    bearings: "degrees", "clock" (30 degrees an hour; 12 is ahead) or "left_right". distances: "metres", "steps" of
    `step_length` [m], or "feet". language: a key of `LEXICONS`.
    """

    bearings: Bearings = "degrees"
    distances: Distances = "metres"
    step_length: float = STEP_LENGTH
    language: str = "en"

    def __post_init__(self) -> None:
        for name, allowed in (
            ("bearings", get_args(Bearings)),
            ("distances", get_args(Distances)),
            ("language", tuple(LEXICONS)),
        ):
            value = getattr(self, name)
            if value not in allowed:
                raise UserError(f"{name} must be one of {', '.join(allowed)}, not {value!r}")
        if not 0.2 <= self.step_length <= 1.5:
            raise UserError(f"step_length must be between 0.2 and 1.5 metres, not {self.step_length!r}")


def _clock_bearing(bearing: float) -> float:
    if not math.isfinite(bearing):
        return NAN
    degrees = math.degrees(math.remainder(bearing, math.tau))
    hours = math.floor(abs(degrees) / 30 + 0.5)
    return math.radians(30 * hours if degrees > 0 or hours in (0, 6) else -30 * hours)


def _sector_bearing(bearing: float) -> float:
    if not math.isfinite(bearing):
        return NAN
    degrees = math.degrees(math.remainder(bearing, math.tau))
    size = next(middle for limit, middle in _SECTORS if abs(degrees) < limit)
    return math.radians(size if degrees > 0 or size in (0, 180) else -size)


def _count(distance: float, unit: float) -> int:
    """How many of `unit` [m] are said for `distance` [m]: whole ones, never none."""
    return max(1, math.floor(min(distance, LONGEST_M) / unit + 0.5))


def resolve(steps: Iterable[Step], style: Style) -> tuple[Step, ...]:
    """What `style` keeps of `steps`: in the order in which they are said, numbers at the style's resolution.

    Of motion, the first four moves and the turns before them.
    """
    unit = style.step_length if style.distances == "steps" else FOOT

    def counted(distance: float) -> float:
        return NAN if math.isnan(distance) or distance < 0 else _count(distance, unit) * unit

    to_bearing = {"degrees": quantise_bearing, "clock": _clock_bearing, "left_right": _sector_bearing}[style.bearings]
    kept: list[Step] = []
    moves = 0
    for step in arrange(steps, to_bearing, quantise_distance if style.distances == "metres" else counted):
        if step.action in (Action.TURN, Action.MOVE) and moves >= MAX_MOVES:
            continue
        moves += step.action is Action.MOVE
        kept.append(step)
    return tuple(kept)


class _Speaker:
    """Resolved steps in one style."""

    def __init__(self, style: Style) -> None:
        self._style = style
        self._words: Lexicon = LEXICONS[style.language]

    def distance(self, distance: float) -> str:
        """Like "1.5 metres"; "" for NaN."""
        if math.isnan(distance):
            return ""
        unit = self._style.distances
        metres = {"metres": 1.0, "steps": self._style.step_length, "feet": FOOT}[unit]
        number = round(distance / metres, 1)
        one, many = self._words.units[unit]
        return (one if number == 1 else many).format(n=f"{number:g}".replace(".", self._words.point))

    def _angle(self, bearing: float, degrees: tuple[str, str], clock: str, sides: dict[int, tuple[str, str]]) -> str:
        size, right = round(math.degrees(abs(bearing))), bearing < 0
        if self._style.bearings == "degrees":
            return degrees[right].format(n=size)
        if self._style.bearings == "left_right":
            return sides[size][right]
        return clock.format(n=round(-math.degrees(bearing) / 30) % 12 or 12)

    def turn(self, bearing: float) -> str:
        """Like "turn left 35 degrees"."""
        words = self._words
        if round(math.degrees(bearing)) == 180:
            return words.turn_around
        return self._angle(bearing, words.turn_degrees, words.turn_clock, dict(words.turn_sides))

    def where(self, bearing: float) -> str:
        """Like " at 2 o'clock"; "" for NaN."""
        words = self._words
        if math.isnan(bearing):
            return ""
        size = round(math.degrees(bearing))
        if size in (0, 180):
            return words.behind if size else words.ahead
        return self._angle(bearing, words.place_degrees, words.place_clock, dict(words.place_sides))

    def clause(self, step: Step) -> str:
        """One step, without its full stop and capital."""
        words = self._words
        name = words.names.get(step.landmark, step.landmark)
        far = self.distance(step.distance)
        if step.action is Action.MOVE:
            goal = words.goals.get(step.landmark, words.goals[""]).format(name=name) if step.landmark else ""
            return (
                words.sentences[step.action].format(far=far and f" {far}", goal=goal) if far or goal else words.move_on
            )
        if step.action is Action.NO_HAZARD and far:
            return words.clear_for.format(far=far)
        where = self.where(step.bearing) if step.action is not Action.TURN else ""
        if step.action is Action.LOCATE and not where:
            where, far = words.at_distance.format(far=far) if far else words.in_view, ""
        return words.sentences[step.action].format(
            name=name,
            where=where,
            far=far and f", {far}",
            turn=self.turn(step.bearing) if step.action is Action.TURN else "",
            way=words.ways[round(math.degrees(step.bearing))] if step.action is Action.SIGN else "",
        )


def render(steps: Iterable[Step], style: Style | None = None) -> str:
    """What the wearer hears: hazards first, whole sentences; "" for no steps. No `style` means `Style()`."""
    style = style or Style()
    speaker = _Speaker(style)
    sentences: list[str] = []
    chaining = False
    for step in resolve(steps, style):
        clause = speaker.clause(step)
        chainable = step.action in (Action.TURN, Action.MOVE)
        if chainable and chaining:
            sentences[-1] += f"{LEXICONS[style.language].joint}{clause}"
        else:
            sentences.append(clause[0].upper() + clause[1:])
        chaining = chainable
    return " ".join(f"{sentence}." for sentence in sentences)
