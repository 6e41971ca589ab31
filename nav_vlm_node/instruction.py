"""What the wearer is told, as plain data: `Step`, `Instruction`, `Status`.

Units are SI and angles are radians. A bearing is about gravity, left positive (REP-103), and 0 is
where the wearer faces. Nothing here knows about text, images, models or ROS.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, field

NAN = math.nan


class Status(enum.Enum):
    """Why an `Instruction` says what it says; the values are those of nav_vlm_msgs/Instruction."""

    OK = 0
    NOT_VISIBLE = 1
    UNSURE = 2
    NO_IMAGE = 3
    STALE_IMAGE = 4
    POOR_IMAGE = 5
    BUSY = 6
    CANCELED = 7
    INVALID_QUERY = 8
    NOT_READY = 9
    DISABLED = 10
    ERROR = 11
    SEARCHING = 12


class Action(enum.Enum):
    """What one step asks of the wearer, or tells them; the values are those of nav_vlm_msgs/Step."""

    TURN = 0  # rotate on the spot by `bearing`
    MOVE = 1  # walk `distance` along `bearing`, which counts from the heading after the turns before it
    STOP = 2  # stand still
    CAUTION = 3  # `landmark` at `bearing`, `distance` is in the way
    LOCATE = 4  # `landmark` is at `bearing`, `distance`; no movement is asked for
    NOT_VISIBLE = 5  # `landmark`, which was asked for, is not in view
    SCAN = 6  # turn slowly to look around
    SIGN = 7  # the sign `landmark` points to `bearing`, counted from facing the sign
    NO_HAZARD = 8  # nothing was found in the way for `distance`: not a promise that the way is safe
    UNKNOWN = 9  # what was asked for is not something this system knows


@dataclass(frozen=True, slots=True)
class Step:
    """One action.

    bearing: radians, left positive, in (-pi, pi]; NaN where it does not apply or was not stated.
    distance: metres, >= 0; NaN where it does not apply or was not stated.
    landmark: lower-case English noun ("exit sign"), or "".
    """

    action: Action
    bearing: float = NAN
    distance: float = NAN
    landmark: str = ""


@dataclass(frozen=True, kw_only=True)
class Instruction:
    """One answer to one query. `stamp` and `frame_id` are those of the image that was looked at.

    confidence: 0..1. latency: seconds from query to answer. image_age: seconds, the image's age
    when the answer was given. message: for a log or a screen; `text` is what is spoken.
    """

    query_id: str
    query: str
    status: Status
    text: str
    steps: tuple[Step, ...] = ()
    confidence: float = 0.0
    priority: int = 0
    latency: float = NAN
    image_age: float = NAN
    stamp: float = NAN
    frame_id: str = ""
    model: str = ""
    adapter: str = ""
    message: str = ""
    released: tuple[str, ...] = field(default=(), repr=False)  # the clauses, in the order the guard let them out
