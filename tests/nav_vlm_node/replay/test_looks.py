"""Which picture is looked at: the one that the node's `CameraFeed.frame` would have given."""

from __future__ import annotations

import math
from array import array

from hypothesis import given
from hypothesis import strategies as st

from nav_vlm_node.instruction import Status
from nav_vlm_node.replay.contents import Contents, largest_cluster
from nav_vlm_node.replay.looks import look
from tests.bags import SECOND, ns

MAX_AGE, TIMEOUT = 0.5, 1.0


def contents(times: list[float], stamps: list[float] | None = None) -> Contents:
    arrived = array("q", [ns(time) for time in times])
    return Contents(times=arrived, stamps=array("q", [ns(each) for each in stamps or times]), start=ns(0), stop=ns(60))


def test_the_newest_at_the_time() -> None:
    seen = look(contents([0.0, 1.0, 2.0]), ns(1.2), max_age=MAX_AGE, timeout=TIMEOUT)
    assert (seen.position, seen.time) == (1, ns(1.2))
    assert math.isclose(seen.age, 0.2, abs_tol=1e-6)


def test_a_steady_cameras_next_one_where_it_is_due() -> None:
    """As `frames.due_in`: at 30 Hz, 25 ms after the last picture the next one is worth the wait."""
    times = [number / 30 for number in range(20)]
    waited = look(contents(times), ns(times[10] + 0.025), max_age=MAX_AGE, timeout=TIMEOUT)
    assert (waited.position, waited.time) == (11, ns(times[11]))
    at_once = look(contents(times), ns(times[10] + 0.005), max_age=MAX_AGE, timeout=TIMEOUT)
    assert at_once.position == 10


def test_an_old_one_is_not_looked_at_and_a_new_one_is_waited_for() -> None:
    waited = look(contents([0.0, 3.0]), ns(2.3), max_age=MAX_AGE, timeout=TIMEOUT)
    assert (waited.position, waited.time, waited.age) == (1, ns(3.0), 0.0)
    missing = look(contents([0.0, 4.0]), ns(2.3), max_age=MAX_AGE, timeout=TIMEOUT)
    assert (missing.position, missing.status) == (None, Status.STALE_IMAGE)
    assert "3.30 s old; max_image_age is 0.5 s" in missing.message
    assert look(contents([5.0]), ns(1), max_age=MAX_AGE, timeout=TIMEOUT).status is Status.NO_IMAGE
    assert look(contents([]), ns(1), max_age=MAX_AGE, timeout=TIMEOUT).message == "the bag has no images"


def test_a_stamp_in_the_future() -> None:
    seen = look(contents([1.0], [9.0]), ns(1.1), max_age=MAX_AGE, timeout=TIMEOUT)
    assert seen.status is Status.STALE_IMAGE
    assert "in the future" in seen.message


def test_the_one_that_the_instruction_names() -> None:
    bag = contents([0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 1.0, 3.0])
    named = look(bag, ns(0.2), max_age=MAX_AGE, timeout=TIMEOUT, stamp=ns(1.0), answered=ns(1.5))
    assert (named.position, named.time, named.by_stamp) == (1, ns(1.0), True)
    unknown = look(bag, ns(0.2), max_age=MAX_AGE, timeout=TIMEOUT, stamp=ns(7.0), answered=ns(1.5))
    assert (unknown.position, unknown.by_stamp) == (0, False)


@given(
    gaps=st.lists(st.integers(110, 1500), max_size=30),
    lags=st.lists(st.integers(0, 800), min_size=30, max_size=30),
    asked=st.integers(0, 30_000),
)
def test_slow_cameras_by_hand(gaps: list[int], lags: list[int], asked: int) -> None:
    """Milliseconds; a camera this slow is never waited for, so it is the newest that is young enough, or the next."""
    times = [sum(gaps[: number + 1]) for number in range(len(gaps))]
    bag = contents([time / 1000 for time in times], [(t - lag) / 1000 for t, lag in zip(times, lags, strict=False)])
    seen = look(bag, ns(asked / 1000), max_age=MAX_AGE, timeout=TIMEOUT)
    newest = max((at for at, time in enumerate(times) if time <= asked), default=None)
    if newest is not None and asked - times[newest] + lags[newest] <= 500:
        expected: int | None = newest
    else:
        fits = [at for at, time in enumerate(times) if asked < time <= asked + 1000 and lags[at] <= 500]
        expected = fits[0] if fits else None
    assert seen.position == expected
    if expected is not None:
        assert abs(seen.age) <= MAX_AGE + 1e-6


@given(st.lists(st.integers(0, 2**63 - 1), max_size=12))
def test_the_largest_cluster_is_one(times: list[int]) -> None:
    low, high = largest_cluster(sorted(times))
    inside = [time for time in times if low <= time <= high]
    assert bool(inside) == bool(times)
    day = 86_400 * SECOND
    assert all(low - time > day or time - high > day for time in times if not low <= time <= high)
