"""What of a bag a replay needs: when which image came, the cameras, the questions, the answers that were given."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tqdm import tqdm

from nav_vlm_node.errors import UserError
from nav_vlm_node.replay.bags import Bag
from nav_vlm_node.replay.messages import Decoder, header_stamp
from nav_vlm_node.replay.storages import MAX_TIME, Raw, Topic
from nav_vlm_node.ros.rigs import Topics

IMAGE, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
CAMERA_INFO, CLOCK, STRING = "sensor_msgs/msg/CameraInfo", "rosgraph_msgs/msg/Clock", "std_msgs/msg/String"
QUERY, INSTRUCTION = "nav_vlm_msgs/msg/Query", "nav_vlm_msgs/msg/Instruction"
NANOSECONDS = 1_000_000_000
APART = 86_400 * NANOSECONDS  # messages that are a day from all others have a wild time
OTHER_CLOCK = 60.0  # s; images stamped further from when they were recorded go by another clock


@dataclass(frozen=True)
class Asked:
    """A question of the bag. time: when it was recorded [ns]."""

    time: int
    text: str
    query_id: str = ""
    priority: int = 0


@dataclass(frozen=True)
class Live:
    """An Instruction of the bag. stamp: of the image that was looked at [ns], 0 where there was none."""

    time: int
    stamp: int
    message: Any


@dataclass
class Contents:
    """What was found, in the order of time. times, stamps: of every image [ns]; a stamp of 0 says that there is none.

    infos: (time, camera_info) where it changed. clocks: (time, ROS time) [ns]. notes: what is odd, one line each.
    """

    image_topic: Topic | None = None
    times: array[int] = field(default_factory=lambda: array("q"))
    stamps: array[int] = field(default_factory=lambda: array("q"))
    infos: list[tuple[int, Any]] = field(default_factory=list)
    clocks: tuple[array[int], array[int]] = field(default_factory=lambda: (array("q"), array("q")))
    asked: list[Asked] = field(default_factory=list)
    live: list[Live] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    start: int = 0
    stop: int = 0
    by_arrival: bool = False  # the images' stamps are of another clock

    def now(self, time: int) -> float:
        """The node's clock [s] when the bag's is `time` [ns]: /clock's where the bag has it."""
        recorded, shown = self.clocks
        at = bisect_right(recorded, time) - 1
        if len(recorded) and not self.by_arrival:
            return shown[max(at, 0)] / NANOSECONDS
        return time / NANOSECONDS

    def stamp(self, position: int) -> float:
        """The stamp [s] that the node gives an image: its own, or when it came."""
        own = self.stamps[position]
        return own / NANOSECONDS if own and not self.by_arrival else self.now(self.times[position])

    def info(self, time: int) -> Any:
        """The newest camera_info at that time; the first one where none had come yet; None if there is none."""
        at = bisect_right([each for each, _ in self.infos], time) - 1
        return self.infos[max(at, 0)][1] if self.infos else None


def choose_image_topic(
    topics: Iterable[Topic], wanted: Topics, transport: str, given: bool
) -> tuple[Topic | None, str]:
    """The image topic to look at, and a note about the choice. wanted: full names. given: the user named it.

    Raises UserError where the topic that was named is not there.
    """
    topics = list(topics)
    found = [topic for topic in topics if topic.msgtype in (IMAGE, COMPRESSED)]
    names = ", ".join(f"{topic.name} ({topic.count})" for topic in found)
    order = (wanted.jpeg, wanted.image) if transport == "compressed" else (wanted.image, wanted.jpeg)
    for name in order:
        for topic in found:
            if topic.name == name and (topic.count or len(found) == 1):
                return topic, ""
    if given:
        raise UserError(f"the bag has no image topic {wanted.image}; it has {names or 'none'}")
    if not found:
        there = ", ".join(f"{topic.name} ({topic.msgtype})" for topic in topics)[:300] or "nothing"
        return None, f"the bag has no image topic (sensor_msgs Image or CompressedImage); it holds {there}"
    best = max(found, key=lambda topic: ("depth" not in topic.name.lower(), topic.count))
    note = f"the bag has several image topics: {names}; {best.name} is used, choose with --image-topic"
    return best, note if len(found) > 1 else ""


def read_contents(
    bag: Bag, decoder: Decoder, image: Topic | None, camera_info: str, namespace: str, *, quiet: bool = True
) -> Contents:
    """Go through the bag once; images are not kept, only when they came. namespace: "", or "/name"."""
    topics = bag.topics
    reader = _Reader(decoder, image, camera_info, namespace, topics)
    total = sum(topic.count for topic in topics if topic.name in reader.names)
    with tqdm(total=total, desc="reading", unit="message", disable=quiet, dynamic_ncols=True) as bar:

        def take(raw: Raw) -> None:
            reader.take(raw)
            bar.update()

        def restart() -> None:
            reader.restart()
            if bar.n:
                bar.reset(total)

        bag.each(reader.names, take, restart)
    return reader.finished()


class _Reader:
    def __init__(
        self, decoder: Decoder, image: Topic | None, camera_info: str, namespace: str, topics: list[Topic]
    ) -> None:
        self._decoder, self._image = decoder, image
        self._kinds: dict[str, str] = {}
        for topic in topics:
            ours = topic.name.startswith(f"{namespace}/")
            texts = topic.msgtype == STRING and topic.name == f"{namespace}/query_text"
            infos = topic.msgtype == CAMERA_INFO and topic.name == camera_info
            asked = topic.msgtype == QUERY and ours
            answers = topic.msgtype == INSTRUCTION and ours and not topic.name.endswith("/hazard")
            clock = topic.msgtype == CLOCK and topic.name == "/clock"
            if (texts or infos or asked or answers or clock) and decoder.knows(topic.msgtype):
                self._kinds[topic.name] = topic.msgtype
        self.names = frozenset([*self._kinds, *([image.name] if image else [])])
        self.restart()

    def restart(self) -> None:
        self._found = Contents(image_topic=self._image)
        self._images: list[tuple[int, int]] = []
        self._last_info: dict[str, bytes] = {}
        self._timeless = 0
        self._damaged: dict[str, tuple[str, int]] = {}  # by topic: what is wrong with the first one, and how many

    def take(self, raw: Raw) -> None:
        if not 0 <= raw.time <= MAX_TIME:
            self._timeless += 1
            return
        if self._image is not None and raw.topic == self._image.name:
            self._images.append((raw.time, header_stamp(raw.data)))
            return
        kind = self._kinds[raw.topic]
        if kind == CAMERA_INFO:
            body = raw.data[12:]  # without its stamp
            if self._last_info.get(raw.topic) == body:
                return
            self._last_info[raw.topic] = body
        try:
            self._keep(raw, kind, self._decoder.decode(raw, kind))
        except UserError as error:
            first, count = self._damaged.get(raw.topic, (str(error), 0))
            self._damaged[raw.topic] = (first, count + 1)

    def _keep(self, raw: Raw, kind: str, message: Any) -> None:
        found = self._found
        if kind == CAMERA_INFO:
            found.infos.append((raw.time, message))
        elif kind == CLOCK:
            found.clocks[0].append(raw.time)
            found.clocks[1].append(message.clock.sec * NANOSECONDS + message.clock.nanosec)
        elif kind == STRING:
            found.asked.append(Asked(raw.time, message.data))
        elif kind == QUERY:
            found.asked.append(Asked(raw.time, message.text, message.id, message.priority))
        else:
            found.live.append(Live(raw.time, header_stamp(raw.data), message))

    def finished(self) -> Contents:
        found = self._found
        for first, count in self._damaged.values():
            found.notes.append(f"{first}; left out on this topic: {count}")
        told = [*(each.time for each in found.asked), *(each.time for each in found.live)]
        every = sorted([*(time for time, _ in self._images), *told])
        low, high = largest_cluster(every)
        wild = self._timeless + sum(not low <= time <= high for time in every)
        if wild:
            found.notes.append(f"messages stamped more than a day away from the others, left out: {wild}")
        images = sorted(pair for pair in self._images if low <= pair[0] <= high)
        found.times, found.stamps = array("q", [time for time, _ in images]), array("q", [own for _, own in images])
        found.asked = sorted((each for each in found.asked if low <= each.time <= high), key=lambda each: each.time)
        found.live = sorted((each for each in found.live if low <= each.time <= high), key=lambda each: each.time)
        found.infos.sort(key=lambda pair: pair[0])
        ticks = sorted(zip(*found.clocks, strict=True))
        found.clocks = (array("q", [time for time, _ in ticks]), array("q", [shown for _, shown in ticks]))
        found.start, found.stop = low, high
        check_clock(found)
        return found


def largest_cluster(times: list[int]) -> tuple[int, int]:
    """First and last of the most `times` (sorted) that lie less than a day from their neighbours; (0, 0) of none."""
    best, first = (0, 0, 0), 0
    for at in range(1, len(times) + 1):
        if at == len(times) or times[at] - times[at - 1] > APART:
            best = max(best, (at - first, times[first], times[at - 1]), key=lambda cluster: cluster[0])
            first = at
    return best[1], best[2]


def check_clock(found: Contents) -> None:
    """Go by /clock where the images' stamps are of it, else by the recorder's clock, else by when the images came."""
    middle = _apart(found)
    if abs(middle) > OTHER_CLOCK and len(found.clocks[0]):
        found.clocks = (array("q"), array("q"))
        found.notes.append("the images are not stamped by /clock, which is left out")
        middle = _apart(found)
    if abs(middle) > OTHER_CLOCK:
        found.by_arrival = True
        found.notes.append(
            f"images are stamped {abs(middle):.0f} s {'before' if middle > 0 else 'after'} they were recorded "
            "(another clock, and no /clock that fits): their age is counted from when they were recorded"
        )


def _apart(found: Contents) -> float:
    """How far the clock is before the images' stamps when they come, median [s]; 0 of none."""
    positions = range(0, len(found.times), max(1, len(found.times) // 1000))
    apart = sorted(found.now(found.times[at]) - found.stamp(at) for at in positions if found.stamps[at])
    return apart[len(apart) // 2] if apart else 0.0
