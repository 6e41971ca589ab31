"""`Session`: one goal's memory, and what it makes of an answer."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from nav_vlm_node.instruction import NAN, Action, Instruction, Status, Step
from nav_vlm_node.language import Style, render
from nav_vlm_node.replies import A_TRY, BLURRED, MAYBE_WITHIN_REACH, SPOKEN, WITHIN_REACH, say
from nav_vlm_node.score import OFF_CENTRE, told, wrap
from nav_vlm_node.session.clues import BEFORE, EXIT_SIGN, GOAL, OPEN_DOOR, SAME, Clue, arrow_of, seen_in
from nav_vlm_node.session.leaves import Leaves
from nav_vlm_node.session.trail import LEG, Place, Spot, Trail, apart, beyond, heading_to
from nav_vlm_node.session.warned import MOVES, Warned
from nav_vlm_node.session.ways import (
    Steps,
    doubtful,
    kept,
    one_look_is_enough,
    standing,
    to_door,
    towards,
    under_sign,
    unseen,
)

LOOK = math.radians(60)  # one turn of a search: the next picture overlaps the last one
EDGE = math.radians(45)  # a door so far aside, at the edge of most views, is turned to however often it was seen
AGREE = math.radians(20)  # two looks that put a thing into headings as near as this agree
ANOTHER = 0.4, math.radians(10)  # metres, radians: a look from nearer than both is not another one
SEEN = math.radians(40)  # a heading this near to one that was looked at is not looked at again
LOOKS = 6  # in a row, at most, before the wearer goes on to another place
KEPT = 3 * LOOKS  # looks that are remembered
HERE = 1.2  # metres: from within this circle a heading that was looked at stays looked at
NEAR = 1.0  # metres, from where a goal fills the picture, and nobody can tell one door from another
FARTHER = 0.5  # metres, by which a look from farther away is from farther away
REACHED = 0.5  # metres from where the goal should be: it is not there
BEEN = 0.7  # metres around where the wearer has been: their cane would have found the goal
ELSEWHERE = 0.3  # of a goal's distance, by which two looks at one goal differ at most
ABSENT = 1.2  # metres around where the goal was said to be and never came nearer
DOUBTS = 5  # sightings of the goal that lead no nearer, after which it is not believed
ROAMS = 2  # legs to where nobody was yet, before a door is gone back through

Ask = Callable[[str], Instruction]


@dataclass(frozen=True)
class Guidance:
    """instruction: what to tell the wearer. searching: it only turns them to look elsewhere, or walks them there, or
    tries one of several doors."""

    instruction: Instruction
    searching: bool = False


@dataclass
class Session:
    """One goal's memory. `heed` every answer with the place it was asked from; begin a new one for a new goal.

    style: in which it speaks. goal: the name of what is asked for.
    """

    style: Style = Style()
    goal: str = ""
    _trail: Trail = field(default_factory=Trail)
    _looked: deque[Place] = field(default_factory=lambda: deque(maxlen=KEPT))
    _sightings: deque[tuple[str, Place, Place]] = field(default_factory=lambda: deque(maxlen=KEPT))  # what, where, from
    _clues: list[Clue] = field(default_factory=list)
    _leaves: Leaves = field(default_factory=Leaves)
    _warned: Warned = field(default_factory=Warned)
    _absent: deque[Place] = field(
        default_factory=lambda: deque(maxlen=KEPT)
    )  # where the goal was said to be, and is not
    _under: set[int] = field(default_factory=set)  # of _clues, the signs that the wearer is at now
    _goal: Clue = field(default_factory=lambda: Clue(GOAL, NAN, NAN))  # where it was seen last
    _misled: bool = False  # led to a goal that was not there
    _going: Clue | None = None  # what the wearer is on the way to; the goal itself where it was in view
    _via: Clue | None = None  # the open door through which the goal was in view, with its leaf in the straight way
    _entered: Place | None = None  # behind a door, and not looked around there yet
    _blind: int = 0  # pictures in a row that show nothing
    _reached: bool = False  # told that the goal should be within reach
    _turned: int = 0  # looks in a row that found nothing
    _roamed: int = 0  # legs in a row to where nobody was yet

    def heed(self, instruction: Instruction, place: Place, ask: Ask | None = None) -> Guidance:
        """What to tell instead of one picture's answer; the answer itself where it leads to the goal.

        ask: answers another question about the same picture; without it a search knows only the doors it is told of.
        """
        if instruction.status not in (Status.OK, Status.NOT_VISIBLE, Status.UNSURE, Status.POOR_IMAGE):
            return Guidance(instruction)
        if instruction.status is Status.POOR_IMAGE:
            return self._unseeing(instruction, place)
        self._blind = 0
        self._trail.arrive(place)
        self._notice(place)
        self._leaves.heed(instruction, place)
        self._warned.heed(instruction, place)
        guidance = self._made_of(instruction, place, ask)
        self._trail.leave(guidance.instruction)
        return guidance

    def _made_of(self, instruction: Instruction, place: Place, ask: Ask | None) -> Guidance:
        if instruction.status is Status.OK:
            direction, distance = told(instruction.steps)
            spot = beyond(place, place.yaw + direction, distance)  # NaN where the answer says no such place
            if self._possible(spot, place):
                known = not distance <= NEAR or self._seen_from_afar(spot, distance)  # NaN is not near
                settled = self._settled(GOAL, instruction, place)
                if not known:
                    return self._within_reach(instruction, spot)
                if not settled and self._turned < LOOKS:
                    return self._look_again(instruction, place)
                if settled and self._believed(spot, distance):
                    warned = any(step.action is Action.CAUTION for step in instruction.steps)
                    if self._trail.stuck and (warned or self._trail.stopped):
                        return self._aside(instruction, place)
                    return self._to_goal(instruction, spot, place, ask)
            instruction = unseen(instruction, self.goal)
        by_door = self._on_through_door(instruction, place, ask)
        if by_door is not None:
            return by_door
        at_door = self._going is not None and self._going.landmark == OPEN_DOOR  # which is tried in ways of its own
        if self._trail.stuck and not at_door:
            return self._aside(instruction, place)
        led = self._led_on(instruction, place) if instruction.status is Status.NOT_VISIBLE else None
        return led or self._search(instruction, place, ask)

    def _notice(self, place: Place) -> None:
        """Which door the wearer has come through, and which sign they have come to."""
        ways = [clue for clue in (self._going, self._via) if clue is not None]
        last = self._trail.last
        for door in [clue for clue in self._clues if clue.passed_by(last, place, any(clue is way for way in ways))]:
            door.leave_behind()
            self._turned, self._roamed, self._entered = 0, 0, place
            if self._going is door:
                self._going = None
            if self._via is door:
                self._via = None
        under = {k for k, clue in enumerate(self._clues) if clue.landmark == EXIT_SIGN and apart(clue, place) < HERE}
        for k in under - self._under:
            self._clues[k].visits += 1
        self._under = under

    def _unseeing(self, instruction: Instruction, place: Place) -> Guidance:
        """Nobody is sent anywhere by a camera that shows nothing. What is wrong with it is said; if it stays so, they
        are turned: a wall or a door that is too near to be seen covers it too."""
        self._blind += 1
        if self._blind == 1:
            return Guidance(instruction)
        turn = LOOK if self._going is None else wrap(heading_to(place, self._going) - place.yaw)
        turned = Step(Action.TURN, turn if abs(turn) >= LOOK / 2 else LOOK)
        self._trail.turned()
        what = instruction.text  # which may be to hold still, and that has not helped
        if what == say(BLURRED, self.style.language):
            what = say(SPOKEN[Status.POOR_IMAGE], self.style.language)
        spoken = f"{what} {render((turned,), self.style)}"
        return Guidance(replace(instruction, steps=(turned,), text=spoken), searching=True)

    # ---- the goal --------------------------------------------------------------------------------

    def _possible(self, spot: Place, place: Place) -> bool:
        """Whether the goal may be at a spot: the wearer has not been there, and it came nearer before."""
        been = [p for p in self._trail.places if apart(p, place) > BEEN and self.goal not in MOVES]
        return not (any(apart(p, spot) < BEEN for p in been) or any(apart(p, spot) < ABSENT for p in self._absent))

    def _believed(self, spot: Place, distance: float) -> bool:
        """Whether the wearer is led to the goal at a spot; it is kept, as it may leave the picture."""
        if math.isnan(spot.x):
            self._going = None
            return True
        if apart(self._goal, spot) > max(ABSENT, ELSEWHERE * distance):  # of another one it came no nearer yet
            self._goal.nearest = distance
        self._goal.x, self._goal.y = spot.x, spot.y
        if not self._trail.stopped and self._goal.out_of_reach(distance, DOUBTS):
            self._absent.append(spot)
            self._lose_goal()
            return False
        self._going, self._turned = self._goal, 0
        return True

    def _lose_goal(self) -> None:
        self._goal, self._misled, self._reached = Clue(GOAL, NAN, NAN), True, False
        self._sightings = deque((seen for seen in self._sightings if seen[0] != GOAL), KEPT)
        self._going = self._via = None

    def _seen_from_afar(self, spot: Place, distance: float) -> bool:
        """Whether a look from farther away has shown the goal about where a near one shows it."""
        return any(
            name == GOAL and apart(known, spot) < SAME and apart(eye, known) > distance + FARTHER
            for name, known, eye in self._sightings
        )

    def _within_reach(self, instruction: Instruction, spot: Place) -> Guidance:
        """What only a near look shows is said to be perhaps there; whoever asks again has not found it."""
        self._absent.append(spot)
        told_of = self._worded(doubtful(instruction), tuple(kept(instruction.steps)))
        maybe = say(MAYBE_WITHIN_REACH, self.style.language)
        return Guidance(replace(told_of, text=f"{told_of.text} {maybe}".strip()), searching=True)

    # ---- a second look ---------------------------------------------------------------------------

    def _settled(self, landmark: str, instruction: Instruction, place: Place) -> bool:
        """Keeps a look at a thing, and tells whether that may be walked to: one look is enough, another one agreed, or
        there were too many at what only leads on. Whoever was misled needs two to the goal."""
        direction, distance = told(instruction.steps)
        if math.isnan(direction):
            return True
        heading = wrap(place.yaw + direction)
        agreed = any(
            name == landmark
            and abs(wrap(heading_to(place, spot) - heading)) < AGREE
            and (apart(eye, place) >= ANOTHER[0] or abs(wrap(eye.yaw - place.yaw)) >= ANOTHER[1])
            for name, spot, eye in self._sightings
        )
        spot = beyond(place, heading, LEG if math.isnan(distance) else distance)
        self._sightings.append((landmark, spot, place))
        enough = one_look_is_enough(instruction) and not (self._misled and landmark == GOAL)
        return agreed or enough or (self._turned >= LOOKS and landmark != GOAL)

    def _look_again(self, instruction: Instruction, place: Place) -> Guidance:
        """A turn to what was seen aside, or half a leg to what is about ahead, for another look at it. Whoever was
        stopped at once on the last leg is only turned."""
        self._looked.append(place)
        self._turned += 1
        direction, distance = told(instruction.steps)
        steps: Steps = (self._trail.turn(direction),)
        if abs(direction) < OFF_CENTRE and not self._trail.stopped:
            length = LEG / 2 if math.isnan(distance) else min(distance, LEG / 2)
            steps = (*steps, Step(Action.MOVE, 0.0, length))
        if not render(steps, self.style):  # a turn that is too little to be said
            steps = (Step(Action.TURN, math.copysign(LOOK / 2, direction)),)
        return self._saying(doubtful(instruction), steps)

    # ---- what is in the way ----------------------------------------------------------------------

    def _aside(self, instruction: Instruction, place: Place) -> Guidance:
        """Around what keeps the wearer where they are: a short leg to one side, the next time to the other."""
        direction, _ = told(instruction.steps)
        way = place.yaw if math.isnan(direction) else place.yaw + direction
        if self._going is not None:
            way = heading_to(place, self._going)
        hazard = next((s.bearing for s in instruction.steps if s.action is Action.CAUTION), NAN)
        turn = wrap(self._trail.aside(way, place.yaw + hazard) - place.yaw)
        return self._saying(doubtful(instruction), (Step(Action.TURN, turn), Step(Action.MOVE, 0.0, LEG / 2)))

    # ---- a goal behind a door --------------------------------------------------------------------

    def _to_goal(self, instruction: Instruction, spot: Place, place: Place, ask: Ask | None) -> Guidance:
        """The answer's own way to a goal in view, or round the leaf of a door that stands in it."""
        self._via = door = self._door_before(spot, place, ask)
        if door is None or not self._round_leaf(door, place):
            return Guidance(instruction)
        return self._by_door(door, instruction, place)

    def _door_before(self, spot: Spot, place: Place, ask: Ask | None) -> Clue | None:
        """The open door that is gone through to a spot, where a leaf stands in the straight way there."""
        if ask is None or self._leaves.between(place, spot) is None:
            return self._via
        door, reach = self._asked_for_door(place, ask)
        far = apart(place, spot) + SAME
        return self._via if door is None or door.visits or not BEFORE < reach < far else door

    def _on_through_door(self, instruction: Instruction, place: Place, ask: Ask | None) -> Guidance | None:
        """Through the door behind which the goal was in view and is not now, until that was tried often enough."""
        door = self._via and self._door_before(self._via, place, ask)
        if door is None or door.out_of_reach(apart(door, place)):
            self._via = None
            return None
        self._via = door
        self._round_leaf(door, place)
        return self._by_door(door, instruction, place)

    def _round_leaf(self, door: Clue, place: Place) -> bool:
        """Whether the way through a door is another one than straight on, for its leaf; then that is its approach."""
        approach = self._leaves.way_round(place, door)
        if math.isnan(approach):
            return False
        door.approach = approach
        return True

    def _by_door(self, door: Clue, instruction: Instruction, place: Place) -> Guidance:
        """One leg to before an open door, or through it."""
        return self._saying(doubtful(instruction), self._towards(door, place))

    # ---- what leads on ---------------------------------------------------------------------------

    def _led_on(self, instruction: Instruction, place: Place) -> Guidance | None:
        """The way to the open door or sign of the answer; None where there is none, or the wearer has been there."""
        named, direction, _ = seen_in(instruction, (OPEN_DOOR, EXIT_SIGN))
        if named == OPEN_DOOR and self._just_entered(place) and self._going is None:
            return None
        if named and self._going is not self._goal:
            frame = self._frame_around(place) if named == OPEN_DOOR else None
            if frame is not None:
                self._going, self._turned = frame, 0
                return self._saying(instruction, self._towards(frame, place))
            edge = named == OPEN_DOOR and abs(direction) >= EDGE and self._turned < LOOKS
            if not self._settled(named, instruction, place) or edge:
                return self._look_again(instruction, place)
        clue, reach = self._clue_of(instruction, place)
        if clue is None or clue.visits or self._going is self._goal:  # the goal was nearer than what leads on to it
            return None
        arrow = arrow_of(instruction.steps)
        if not math.isnan(arrow):
            clue.onward = wrap(heading_to(place, clue) + arrow)
        if clue.out_of_reach(reach):
            clue.leave_behind()
            self._going = None
            return None if math.isnan(clue.onward) else Guidance(self._by_arrow(instruction, clue, place))
        self._going, self._turned = clue, 0
        if clue.landmark == OPEN_DOOR:
            if self._round_leaf(clue, place):
                return self._by_door(clue, instruction, place)
            led = self._worded(instruction, to_door(instruction.steps, reach))
            if not self._one_of_several(clue, place):
                return Guidance(led)
            return Guidance(replace(led, text=f"{say(A_TRY, self.style.language)} {led.text}"), searching=True)
        if reach > LEG:
            return Guidance(instruction)
        self._going = None
        if math.isnan(arrow):
            return Guidance(instruction)
        clue.visits += 1
        return Guidance(self._worded(instruction, under_sign(instruction.steps, reach)))

    def _just_entered(self, place: Place) -> bool:
        """Whether the wearer is still about where they came through a door."""
        return self._entered is not None and apart(self._entered, place) <= LEG + HERE

    def _one_of_several(self, door: Clue, place: Place) -> bool:
        """Whether another open door was seen elsewhere, were it only once, that nobody has gone through."""
        doors = [clue for clue in self._clues if clue.landmark == OPEN_DOOR]
        seen: list[Spot] = [spot for name, spot, _ in self._sightings if name == OPEN_DOOR]
        return any(
            all(apart(spot, known) >= SAME for known in doors if known.visits or known is door)
            and abs(wrap(heading_to(place, spot) - heading_to(place, door))) >= AGREE
            for spot in [*seen, *(other for other in doors if not other.visits)]
        )

    def _frame_around(self, place: Place) -> Clue | None:
        """The door in whose frame the wearer stands: what was seen of it from farther away is better than a look."""
        for clue in self._clues:
            near = clue.landmark == OPEN_DOOR and not clue.visits and apart(clue, place) <= BEFORE
            if near and not clue.out_of_reach(apart(clue, place)):
                return clue
        return None

    def _clue_of(self, instruction: Instruction, place: Place) -> tuple[Clue | None, float]:
        """The open door or sign that an answer sends to or locates, and how far it is."""
        landmark, direction, reach = seen_in(instruction, (OPEN_DOOR, EXIT_SIGN))
        if not landmark:
            return None, NAN
        spot = beyond(place, place.yaw + direction, reach)
        alike = [clue for clue in self._clues if clue.landmark == landmark and apart(clue, spot) < SAME]
        if not alike:
            self._clues.append(Clue(landmark, spot.x, spot.y))
        found = min(alike, key=lambda clue: apart(clue, spot)) if alike else self._clues[-1]
        found.seen_at(spot.x, spot.y, place)
        return found, reach

    def _asked_for_door(self, place: Place, ask: Ask) -> tuple[Clue | None, float]:
        """The open door in the picture, whatever the answer about the goal says, and how far it is."""
        answer = ask(f"Where is the {OPEN_DOOR}?")
        return self._clue_of(answer, place) if answer.status is Status.OK else (None, NAN)

    def _by_arrow(self, instruction: Instruction, clue: Clue, place: Place) -> Instruction:
        """The way that a sign's arrow points, from here."""
        turn = Step(Action.TURN, wrap(clue.onward - place.yaw))
        return self._worded(instruction, (*kept(instruction.steps), turn, Step(Action.MOVE, 0.0, LEG)))

    # ---- searching -------------------------------------------------------------------------------

    def _search(self, instruction: Instruction, place: Place, ask: Ask | None) -> Guidance:
        """Another way to look from here; after all of them, on to a door, or to where nobody has been yet."""
        self._looked.append(place)
        if ask is not None:
            self._asked_for_door(place, ask)
        if self._going is self._goal and apart(self._goal, place) < REACHED and not self._reached:
            self._reached = True
            within = say(WITHIN_REACH, self.style.language)
            told_of = self._worded(instruction, tuple(kept(instruction.steps)))
            return Guidance(replace(told_of, text=f"{told_of.text} {within}".strip()), searching=True)
        self._give_up(place)
        if self._going is None:
            turn = self._fresh_look(place)
            if turn is not None:
                self._turned += 1
                return self._saying(instruction, (Step(Action.TURN, turn),))
            self._entered, self._going = None, self._next_door(place)
        self._turned = 0
        if self._going is not None:
            return self._saying(instruction, self._towards(self._going, place))
        self._roamed += 1
        turn = wrap(self._trail.freest(place, self._warned.meets) - place.yaw)
        return self._saying(instruction, (Step(Action.TURN, turn), Step(Action.MOVE, 0.0, LEG)))

    def _give_up(self, place: Place) -> None:
        """What the wearer is on the way to, where they cannot get nearer, or are there."""
        going = self._going
        if going is None:
            return
        gap = apart(going, place)
        if going is self._goal and (gap < REACHED or going.out_of_reach(gap)):
            self._lose_goal()
        elif going is not self._goal and going.out_of_reach(gap):
            going.leave_behind()
            self._going = None

    def _fresh_look(self, place: Place) -> float | None:
        """A turn to where nobody has looked from here [rad], to the same side as the last: it goes round once."""
        if self._turned >= LOOKS:
            return None
        here = [p for p in self._looked if apart(p, place) < HERE]
        turns = [LOOK, -LOOK, 2 * LOOK, -2 * LOOK, math.pi]
        turns = [turn for turn in turns if all(abs(wrap(place.yaw + turn - p.yaw)) > SEEN for p in here)]
        if len(here) > 1:
            last = wrap(here[-1].yaw - here[-2].yaw)
            turns = [turn for turn in turns if turn * last > 0] or turns
        return min(turns, key=abs, default=None)

    def _next_door(self, place: Place) -> Clue | None:
        """The nearest door that was not gone through; after some legs without one, the one least gone through."""
        doors = [clue for clue in self._clues if clue.landmark == OPEN_DOOR]
        if self._roamed < ROAMS:
            doors = [door for door in doors if not door.visits]
        return min(doors, key=lambda door: (door.visits, apart(door, place)), default=None)

    def _towards(self, clue: Clue, place: Place) -> Steps:
        """One leg to what the wearer is on the way to, by odometry."""
        if clue.landmark == OPEN_DOOR:
            self._roamed = 0
            if math.isnan(clue.approach):
                clue.approach = heading_to(place, clue)
        elif clue is not self._goal and apart(clue, place) <= LEG:
            self._going = None
            clue.visits += 1
        return towards(self._trail, place, clue)

    # ---- saying ----------------------------------------------------------------------------------

    def _saying(self, instruction: Instruction, steps: Steps) -> Guidance:
        """A search, with the warnings of the answer."""
        return Guidance(self._worded(instruction, (*kept(instruction.steps), *steps)), searching=True)

    def _worded(self, instruction: Instruction, steps: Steps) -> Instruction:
        """The steps instead of the answer's own, with warnings of what they lead to."""
        steps = standing(steps)
        steps = (*self._warned.before(self._trail.places[-1], steps), *steps)
        return replace(instruction, steps=steps, text=render(steps, self.style))
