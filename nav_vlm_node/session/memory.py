"""`Session`: one goal's memory, and what it makes of an answer."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from nav_vlm_node.instruction import NAN, Action, Instruction, Status, Step
from nav_vlm_node.language import Style, render
from nav_vlm_node.replies import A_TRY, BLURRED, MAYBE_WITHIN_REACH, SPOKEN, WITHIN_REACH, say
from nav_vlm_node.score import OFF_CENTRE, told, wrap
from nav_vlm_node.session.clues import BEFORE, EXIT_SIGN, GOAL, OPEN_DOOR, SAME, Clue, arrow_of, seen_in
from nav_vlm_node.session.detour import Detour
from nav_vlm_node.session.leads import Leads
from nav_vlm_node.session.leaves import Leaves
from nav_vlm_node.session.looking import HERE, LOOK, Looking
from nav_vlm_node.session.sightings import Sightings
from nav_vlm_node.session.sought import NEAR, REACHED, Sought
from nav_vlm_node.session.trail import LEG, Place, Spot, Trail, apart, beyond, heading_to
from nav_vlm_node.session.warned import MOVES, Warned
from nav_vlm_node.session.ways import (
    Steps,
    doubtful,
    kept,
    leg,
    one_look_is_enough,
    round_about,
    standing,
    to_door,
    towards,
    under_sign,
    unseen,
)

LOOKED = (Status.OK, Status.NOT_VISIBLE, Status.UNSURE, Status.POOR_IMAGE)  # of answers about a picture
EDGE = math.radians(45)  # a door so far aside, at the edge of most views, is turned to however often it was seen
ROUNDS = 2  # ways round to one thing that are tried
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
    _looking: Looking = field(default_factory=Looking)
    _sightings: Sightings = field(default_factory=Sightings)
    _sought: Sought = field(default_factory=Sought)
    _leads: Leads = field(default_factory=Leads)
    _leaves: Leaves = field(default_factory=Leaves)
    _warned: Warned = field(default_factory=Warned)
    _going: Clue | None = None  # what the wearer is on the way to; the goal itself where it was in view
    _via: Clue | None = None  # the open door through which the goal was in view, with its leaf in the straight way
    _entered: Place | None = None  # behind a door, and not looked around there yet
    _detour: Detour = field(default_factory=Detour)
    _blind: int = 0  # pictures in a row that show nothing

    def heed(self, instruction: Instruction, place: Place, ask: Ask | None = None) -> Guidance:
        """What to tell instead of one picture's answer; the answer itself where it leads to the goal.

        ask: answers another question about the same picture; without it a search knows only the doors it is told of.
        """
        if instruction.status not in LOOKED:
            return Guidance(instruction)
        if instruction.status is Status.POOR_IMAGE:
            return self._unseeing(instruction, place)
        self._blind = 0
        self._trail.arrive(place)
        self._notice_doors(place)
        self._leaves.heed(instruction, place)
        self._warned.heed(instruction, place)
        guidance = self._made_of(instruction, place, ask)
        self._trail.leave(guidance.instruction)
        return guidance

    def undone(self) -> None:
        """What was told last has not been done yet: nothing comes of it. Call it before the answer of the next look."""
        self._trail.undone()

    def _made_of(self, instruction: Instruction, place: Place, ask: Ask | None) -> Guidance:
        out = self._out_of_corner(instruction, place)
        if out is not None:
            return out
        if instruction.status is Status.OK:
            direction, distance = told(instruction.steps)
            spot = beyond(place, place.yaw + direction, distance)  # NaN where the answer says no such place
            been = () if self.goal in MOVES else self._trail.places
            if self._sought.possible(spot, place, been):
                known = not distance <= NEAR or self._sightings.from_afar(GOAL, spot, distance)  # NaN is not near
                settled = self._settled(GOAL, instruction, place)
                if not known:
                    return self._perhaps_here(instruction, spot)
                if not settled and not self._looking.enough:
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

    def _notice_doors(self, place: Place) -> None:
        """Which doors the wearer has come through."""
        for door in self._leads.passed(self._trail.last, place, (self._going, self._via)):
            self._looking.turned, self._looking.roamed, self._entered = 0, 0, place
            self._trail.enter()
            if self._going is door:
                self._going = None
            if self._via is door:
                self._via = None

    def _unseeing(self, instruction: Instruction, place: Place) -> Guidance:
        """Nobody is sent anywhere by a camera that shows nothing. What is wrong with it is said; if it stays so, they
        are turned: a wall or a door that is too near to be seen covers it too."""
        self._blind += 1
        if self._blind == 1:
            return Guidance(instruction)
        self._looking.look(place)  # a wall that is too near looks no better another time
        turn = LOOK if self._going is None else wrap(heading_to(place, self._going) - place.yaw)
        turned = Step(Action.TURN, turn if abs(turn) >= LOOK / 2 else LOOK)
        self._trail.turned()
        what = instruction.text  # which may be to hold still, and that has not helped
        if what == say(BLURRED, self.style.language):
            what = say(SPOKEN[Status.POOR_IMAGE], self.style.language)
        spoken = f"{what} {render((turned,), self.style)}"
        return Guidance(replace(instruction, steps=(turned,), text=spoken), searching=True)

    # ---- the goal --------------------------------------------------------------------------------

    def _believed(self, spot: Place, distance: float) -> bool:
        """Whether the wearer is led to the goal at a spot; it is kept, as it may leave the picture."""
        if math.isnan(spot.x):
            self._going = None
            return True
        self._sought.sight(spot, distance)
        if not self._trail.stopped and self._sought.recedes(distance):
            self._sought.rule_out(spot)
            self._lose_goal()
            return False
        self._going, self._looking.turned = self._sought.seen, 0
        return True

    def _lose_goal(self) -> None:
        self._sought.lose()
        self._sightings.forget(GOAL)
        self._going = self._via = None

    def _perhaps_here(self, instruction: Instruction, spot: Place) -> Guidance:
        """What only a near look shows is said to be perhaps there, and the way is a try; whoever asks again has not
        found it."""
        self._sought.rule_out(spot)
        direction, distance = told(instruction.steps)
        steps = Step(Action.TURN, direction), Step(Action.MOVE, 0.0, distance)
        return self._saying(doubtful(instruction), steps, MAYBE_WITHIN_REACH)

    # ---- a second look ---------------------------------------------------------------------------

    def _settled(self, landmark: str, instruction: Instruction, place: Place) -> bool:
        """Keeps a look at a thing, and tells whether that may be walked to: one look is enough, another one agreed, or
        there were too many at what only leads on. Whoever was misled needs two to the goal."""
        direction, distance = told(instruction.steps)
        if math.isnan(direction):
            return True
        heading = wrap(place.yaw + direction)
        agreed = self._sightings.agree(landmark, heading, place)
        self._sightings.add(landmark, beyond(place, heading, LEG if math.isnan(distance) else distance), place)
        enough = one_look_is_enough(instruction) and not (self._sought.misled and landmark == GOAL)
        return agreed or enough or (self._looking.enough and landmark != GOAL)

    def _look_again(self, instruction: Instruction, place: Place) -> Guidance:
        """A turn to what was seen aside, or half a leg to what is about ahead, for another look at it. Whoever was
        stopped at once on the last leg is only turned."""
        self._looking.look(place)
        self._looking.turned += 1
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

    def _out_of_corner(self, instruction: Instruction, place: Place) -> Guidance | None:
        """Around what leg after leg has ended at, on the way to what is known: back, over to the other side, and on."""
        way = self._via or self._going
        if way is None:
            self._detour.abandon()
            return None
        if not self._detour.under_way and self._trail.stuck:
            if not way.detours % 2 and way.detours < 2 * ROUNDS:  # in between, what else there is is tried
                self._go_round(way, place)
            way.detours += 1
        spot = self._detour.next(place, self._warned.between)
        if spot is not None:
            return self._saying(doubtful(instruction), leg(self._trail, place, spot))
        turn = wrap(heading_to(place, way) - place.yaw)
        if self._detour.over() and abs(turn) > OFF_CENTRE:
            return self._saying(doubtful(instruction), (self._trail.turn(turn),))
        return None

    def _go_round(self, way: Clue, place: Place) -> None:
        """Plans the way round to what could not be reached straight on."""
        eye = self._sightings.from_farthest(way, place) or self._trail.farthest(place)
        if eye is None:
            return
        first, last = round_about(eye, place, way, self._leaves.beside(place))
        self._detour.begin((first, last))
        self._trail.go_elsewhere()
        way.tries, way.nearest = 0, math.inf
        if way.landmark == OPEN_DOOR:
            way.approach = heading_to(last, way)

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
        if named and self._going is not self._sought.seen:
            frame = self._leads.frame_around(place) if named == OPEN_DOOR else None
            if frame is not None:
                self._going, self._looking.turned = frame, 0
                return self._saying(instruction, self._towards(frame, place))
            edge = named == OPEN_DOOR and abs(direction) >= EDGE and not self._looking.enough
            if not self._settled(named, instruction, place) or edge:
                return self._look_again(instruction, place)
        clue, reach = self._leads.of(instruction, place)
        on_to_goal = self._going is self._sought.seen  # which was nearer than what leads on to it
        if clue is None or clue.visits or on_to_goal:
            return None
        arrow = arrow_of(instruction.steps)
        if not math.isnan(arrow):
            clue.onward = wrap(heading_to(place, clue) + arrow)
        if clue.out_of_reach(reach):
            clue.leave_behind()
            self._going = None
            return None if math.isnan(clue.onward) else Guidance(self._by_arrow(instruction, clue, place))
        self._going, self._looking.turned = clue, 0
        if clue.landmark == OPEN_DOOR:
            if self._round_leaf(clue, place):
                return self._by_door(clue, instruction, place)
            led = self._worded(instruction, to_door(instruction.steps, reach))
            if not self._leads.one_of_several(clue, place, self._sightings.of(OPEN_DOOR)):
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

    def _asked_for_door(self, place: Place, ask: Ask) -> tuple[Clue | None, float]:
        """The open door in the picture, whatever the answer about the goal says, and how far it is."""
        answer = ask(f"Where is the {OPEN_DOOR}?")
        return self._leads.of(answer, place) if answer.status is Status.OK else (None, NAN)

    def _by_arrow(self, instruction: Instruction, clue: Clue, place: Place) -> Instruction:
        """The way that a sign's arrow points, from here."""
        turn = Step(Action.TURN, wrap(clue.onward - place.yaw))
        return self._worded(instruction, (*kept(instruction.steps), turn, Step(Action.MOVE, 0.0, LEG)))

    # ---- searching -------------------------------------------------------------------------------

    def _search(self, instruction: Instruction, place: Place, ask: Ask | None) -> Guidance:
        """Another way to look from here; after all of them, on to a door, or to where nobody has been yet."""
        self._looking.look(place)
        if ask is not None:
            self._asked_for_door(place, ask)
        sought = self._sought
        if self._going is sought.seen and apart(sought.seen, place) < REACHED and not sought.announced:
            sought.announced = True
            return self._saying(instruction, (), WITHIN_REACH)
        self._give_up(place)
        if self._going is None:
            turn = self._looking.fresh(place)
            if turn is not None:
                self._looking.turned += 1
                return self._saying(instruction, (Step(Action.TURN, turn),))
            self._entered = None
            self._going = self._leads.next_door(place, again=self._looking.roamed >= ROAMS)
        self._looking.turned = 0
        if self._going is not None:
            return self._saying(instruction, self._towards(self._going, place))
        self._looking.roamed += 1
        turn = wrap(self._trail.freest(place, self._warned.meets) - place.yaw)
        return self._saying(instruction, (Step(Action.TURN, turn), Step(Action.MOVE, 0.0, LEG)))

    def _give_up(self, place: Place) -> None:
        """What the wearer is on the way to, where they cannot get nearer, or are there."""
        going = self._going
        if going is None:
            return
        gap = apart(going, place)
        if going is self._sought.seen and (gap < REACHED or going.out_of_reach(gap)):
            self._lose_goal()
        elif going is not self._sought.seen and going.out_of_reach(gap):
            going.leave_behind()
            self._going = None

    def _towards(self, clue: Clue, place: Place) -> Steps:
        """One leg to what the wearer is on the way to, by odometry."""
        if clue.landmark == OPEN_DOOR:
            self._looking.roamed = 0
            if math.isnan(clue.approach):
                clue.approach = heading_to(place, clue)
        elif clue is not self._sought.seen and apart(clue, place) <= LEG:
            self._going = None
            clue.visits += 1
        return towards(self._trail, place, clue)

    # ---- saying ----------------------------------------------------------------------------------

    def _saying(self, instruction: Instruction, steps: Steps, sentence: str = "") -> Guidance:
        """A search, with the warnings of the answer; then a fixed sentence."""
        told_of = self._worded(instruction, (*kept(instruction.steps), *steps))
        text = f"{told_of.text} {say(sentence, self.style.language)}".strip()
        return Guidance(replace(told_of, text=text), searching=True)

    def _worded(self, instruction: Instruction, steps: Steps) -> Instruction:
        """The steps instead of the answer's own, with warnings of what they lead to."""
        steps = standing(steps)
        steps = (*self._warned.before(self._trail.places[-1], steps), *steps)
        return replace(instruction, steps=steps, text=render(steps, self.style))
