"""Anything that a file may hold, and settings for tests that read it: on a busy machine they are slow, not wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from nav_vlm_node.errors import UserError
from nav_vlm_training.data.reading import Odd

FUZZ = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
LEAF = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.sampled_from(["left", "a/1.jpg"]))
VALUE = st.one_of(LEAF, st.lists(LEAF, max_size=2), st.dictionaries(st.text(max_size=3), LEAF, max_size=2))


def refusal(call: Callable[..., Any], *args: Any) -> str:
    """What a call is refused with; "" where it is not. Any exception that is not for users fails the test."""
    try:
        call(*args)
    except (UserError, Odd) as error:
        return str(error)
    return ""
