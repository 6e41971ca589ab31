"""The words that the Enhanced BERTScore of arXiv 2509.07488 counts: its parameters, in the order in which it looks.

From the notebooks of github.com/Shaw-git/VLM_Navigation (MIT, says its README). A word can be in several groups; where
one word is looked up, the first group that has it counts.
"""

from __future__ import annotations

from dataclasses import dataclass

# A line with a number: the weight of the groups below it. A line with a colon: a group and what counts as it.
_TABLE = """
1.0
left: left, leftward, leftside, to the left
right: right, rightward, rightside, to the right
front: front, ahead, forward, straight ahead, directly ahead, in front, straight forward, onward
back: back, behind, backward, rear, backwards
up: up, upward, upper, above, upstairs
down: down, downward, lower, below, downstairs
center: center, middle, central
1.2
walk: walk, move, go, proceed, head, continue, step, advance, progress, press on, forge ahead
turn: turn, rotate, pivot, veer, swing, swerve, wheel
follow: follow, take, use, pursue
find: find, locate, look for, seek, spot, identify
enter or exit: enter, exit, access, leave, go in, go out
pass: pass, bypass, go past, move past, overtake
sit: sit, take a seat, be seated
0.9
left side: on your left, to your left, on the left, to the left side
right side: on your right, to your right, on the right, to the right side
front side: in front of you, directly in front, straight ahead of you, directly ahead, straight in front
back side: behind you, to your rear, at your back
near: near, close to, nearby, adjacent to, next to, beside
beyond: beyond, past, further than, after
between: between, amid, among, in between
along: along, alongside, by, across
1.5
turn left: turn left, make a left, make a left turn, veer left, take a left, take a left turn, hang a left, bear left
turn right: turn right, make a right, make a right turn, veer right, take a right, take a right turn, hang a right,\
 bear right
go straight: go straight, continue straight, proceed straight, head straight, walk straight, move straight ahead,\
 move forward, advance forward
turn around: turn around, turn back, rotate 180 degrees, make a u-turn
walk toward: walk toward, move toward, proceed toward, head toward, go toward, approach, walk to, move to
move right: move right, go right, head right, proceed right
move left: move left, go left, head left, proceed left
0.7
counter: counter, bar counter, bar, desk
door: door, doorway, entrance, exit, gateway
seating: seat, chair, stool, bench, seating area, seating section
wall: wall, side wall, back wall, front wall
room: room, area, section, space, hall
table: table, desk, workspace
stage: stage, platform, podium
aisle: aisle, corridor, pathway, walkway
1.1
proceed: proceed, continue, advance, progress, move on, go ahead, move forward, press on, forge ahead
navigate: navigate, guide, steer, pilot, direct, maneuver
"""


@dataclass(frozen=True)
class Group:
    """Terms that count as the same. phrases: those of several words; words: the others."""

    name: str
    weight: float
    phrases: tuple[str, ...]
    words: tuple[str, ...]


def _read(table: str) -> tuple[Group, ...]:
    groups: list[Group] = []
    weight = 1.0
    for line in table.strip().splitlines():
        name, colon, listed = line.partition(": ")
        if not colon:
            weight = float(line)
            continue
        terms = [term.strip() for term in listed.split(",")]
        phrases, words = (tuple(term for term in terms if (" " in term) is several) for several in (True, False))
        groups.append(Group(name, weight, phrases, words))
    return tuple(groups)


GROUPS = _read(_TABLE)
SIMILAR = 0.85  # a word counts as a term whose vector is nearer than this (0.75 for groups that have only phrases)

OPPOSITES = (("left", "right"), ("front", "back"), ("ahead", "behind"), ("forward", "backward"), ("up", "down"))
OPPOSITE_PHRASES = (
    ("turn left", "turn right"),
    ("on your left", "on your right"),
    ("to your left", "to your right"),
)  # fmt: skip
# Said in the first text while the second is in the other one; both ways round.
POSITIONS = (("at the back", "at the front"), ("behind you", "in front of"))
VERBS = frozenset("walk move go turn proceed head continue enter".split())
TIME_WORDS = ("then", "after", "next", "first", "second")
