"""People who walk up and down in a building while somebody is on their way there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from nav_vlm_sim.scene import Scene
from nav_vlm_sim.walks.building import Building
from nav_vlm_sim.walks.space import Space

RADIUS = 0.25  # metres, of a person's disc
PATROL = 4.0  # metres from where they begin to where they turn back
GIVE_WAY = 0.8  # metres between the two bodies: nearer than this they wait, if the wearer is before them
PATIENCE = 3.0  # seconds that they wait before they turn back
ROOM = 0.05  # metres that they keep from what stands still


@dataclass(eq=False)
class Person:
    """item: index in the scene. heading: radians, where they walk now. left: metres until they turn back."""

    item: int
    x: float
    y: float
    heading: float
    pace: float
    left: float
    length: float
    radius: float = RADIUS
    speed: float = 0.0  # m/s, now
    waited: float = 0.0  # seconds

    def gap(self, x: float, y: float) -> float:
        """Metres from a point to their disc."""
        return math.dist((x, y), (self.x, self.y)) - self.radius

    def turn_back(self) -> None:
        """To the other end of where they walk."""
        self.heading, self.left, self.waited = self.heading + math.pi, self.length - self.left, 0.0


@dataclass
class Crowd:
    """All who move. `step` moves them; `scene` shows them where they are."""

    building: Building
    people: list[Person] = field(default_factory=list)

    @classmethod
    def of(cls, building: Building, space: Space) -> Crowd:
        """Everybody of the building who walks, where they begin. space: of all that stands still."""
        people = []
        for index, pace in sorted(building.scene.speeds.items()):
            item = building.scene.items[index]
            length = 0.0
            while length < PATROL:
                x, y = item.x + (length + 0.1) * math.cos(item.yaw), item.y + (length + 0.1) * math.sin(item.yaw)
                if space.nearest(x, y)[0] < RADIUS + ROOM:
                    break
                length += 0.1
            people.append(Person(index, item.x, item.y, item.yaw, pace, length, length))
        return cls(building, people)

    def stand(self, people: Sequence[Sequence[float]]) -> None:
        """Puts them, in their order, at [x, y, heading] each; those who are not in the list stay."""
        for person, (x, y, heading) in zip(self.people, people, strict=False):
            person.x, person.y, person.heading = x, y, heading

    def step(self, seconds: float, x: float, y: float, body: float) -> list[Person]:
        """Moves them by so much time; who comes to touch a body of that radius at x, y is in the list, and stops."""
        touching = []
        for person in self.people:
            person.speed = person.pace if person.length > 0.5 else 0.0
            ahead = math.cos(math.atan2(y - person.y, x - person.x) - person.heading) > 0.3
            if ahead and person.gap(x, y) - body < GIVE_WAY:
                person.speed, person.waited = 0.0, person.waited + seconds
                if person.waited > PATIENCE:
                    person.turn_back()
                continue
            person.waited = 0.0
            step = min(person.speed * seconds, person.left)
            there = person.x + step * math.cos(person.heading), person.y + step * math.sin(person.heading)
            if math.dist(there, (x, y)) < person.radius + body and step > 0:
                touching.append(person)
                continue
            (person.x, person.y), person.left = there, person.left - step
            if person.left <= 1e-6 and person.length > 0.5:
                person.turn_back()
        return touching

    def scene(self) -> Scene:
        """The building's scene with everybody where they are now."""
        if not self.people:
            return self.building.scene
        items = list(self.building.scene.items)
        for person in self.people:
            items[person.item] = replace(items[person.item], x=person.x, y=person.y, yaw=person.heading)
        return replace(self.building.scene, items=items)
