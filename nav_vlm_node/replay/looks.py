"""Which image the live node looks at for a question, by when images came: `CameraFeed.frame`, with the bag's clock."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass

from nav_vlm_node.frames import due_in
from nav_vlm_node.instruction import NAN, Status
from nav_vlm_node.replay.contents import NANOSECONDS, Contents

REMEMBERED = 31  # arrivals that the node keeps, for the camera's rate


@dataclass(frozen=True, kw_only=True)
class Look:
    """What is looked at. position: of the image, None for none, and then `status` and `message` say why.

    time: when, by the bag's clock [ns]. now: by the node's [s]. age: of the image then [s].
    by_stamp: it is the image that the Instruction in the bag names.
    """

    position: int | None
    time: int
    now: float
    age: float = NAN
    by_stamp: bool = False
    status: Status = Status.OK
    message: str = ""


def look(contents: Contents, asked: int, *, max_age: float, timeout: float, stamp: int = 0, answered: int = 0) -> Look:
    """For a question of time `asked` [ns]. max_age, timeout: the node's max_image_age and image_timeout [s].

    stamp: of the image that was looked at by the Instruction of the bag, which was recorded at `answered`; 0: none.
    """
    named = _named(contents, stamp, answered) if stamp else None
    if named is not None:
        return _at(contents, named, max(asked, contents.times[named]), by_stamp=True)
    newest = bisect_right(contents.times, asked) - 1
    position, time = _wait_for_due(contents, newest, asked, timeout)
    end = time + round(timeout * NANOSECONDS)
    if position >= 0 and abs(_age(contents, position, time)) <= max_age:
        return _at(contents, position, time)
    while position + 1 < len(contents.times) and contents.times[position + 1] <= end:
        position += 1
        if abs(_age(contents, position, contents.times[position])) <= max_age:
            return _at(contents, position, contents.times[position])
    return _missing(contents, position, end, max_age)


def _named(contents: Contents, stamp: int, answered: int) -> int | None:
    """The last image with this stamp that had come by then."""
    found = [at for at, own in enumerate(contents.stamps) if own == stamp]
    before = [at for at in found if not answered or contents.times[at] <= answered]
    known = before or found
    return known[-1] if known else None


def _wait_for_due(contents: Contents, newest: int, asked: int, timeout: float) -> tuple[int, int]:
    """The newest image and the time, after waiting for a steady camera's next one where that is due."""
    arrivals = [time / NANOSECONDS for time in contents.times[max(0, newest - REMEMBERED + 1) : newest + 1]]
    due = min(due_in(arrivals, asked / NANOSECONDS), timeout)
    if due <= 0.0:
        return newest, asked
    end = asked + round(due * NANOSECONDS)
    if newest + 1 < len(contents.times) and contents.times[newest + 1] <= end:
        return newest + 1, contents.times[newest + 1]
    return newest, end


def _age(contents: Contents, position: int, time: int) -> float:
    return contents.now(time) - contents.stamp(position)


def _at(contents: Contents, position: int, time: int, *, by_stamp: bool = False) -> Look:
    age = _age(contents, position, time)
    return Look(position=position, time=time, now=contents.now(time), age=age, by_stamp=by_stamp)


def _missing(contents: Contents, newest: int, end: int, max_age: float) -> Look:
    now = contents.now(end)
    if newest < 0:
        message = "no image had come by then" if len(contents.times) else "the bag has no images"
        return Look(position=None, time=end, now=now, status=Status.NO_IMAGE, message=message)
    age = _age(contents, newest, end)
    if age < 0:
        message = f"the newest image is stamped {-age:.2f} s in the future"
    else:
        message = f"the newest image is {age:.2f} s old; max_image_age is {max_age:g} s"
    known = NAN if math.isnan(age) else age
    return Look(position=None, time=end, now=now, age=known, status=Status.STALE_IMAGE, message=message)
