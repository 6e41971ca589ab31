"""As much of ROS 2's launch tools as the launch files use, recording: for machines without them.

What is recorded is what would be passed to the real ones; the tests in test_bringup_launch.py run with both.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import pytest


class Recorded:
    """An action, a substitution, a description: its arguments."""

    def __init__(self, *words: Any, **named: Any) -> None:
        self.words = words
        self.named = named


class Context:
    """The launch context: what has been configured."""

    def __init__(self, configurations: dict[str, str]) -> None:
        self.launch_configurations = configurations


class LaunchConfiguration(Recorded):
    def perform(self, context: Context) -> str:
        return context.launch_configurations[self.words[0]]


KINDS = {
    "launch": ("LaunchContext", "LaunchDescription"),
    "launch.actions": (
        "DeclareLaunchArgument",
        "ExecuteProcess",
        "IncludeLaunchDescription",
        "LogInfo",
        "OpaqueFunction",
        "SetLaunchConfiguration",
        "Shutdown",
    ),
    "launch.launch_description_sources": ("PythonLaunchDescriptionSource",),
    "launch.substitutions": (),
    "launch_ros": (),
    "launch_ros.actions": ("Node",),
    "launch_ros.parameter_descriptions": ("ParameterValue",),
}


@contextmanager
def recording() -> Iterator[None]:
    """Within it, the launch tools are those above."""
    with pytest.MonkeyPatch.context() as patch:
        for name, kinds in KINDS.items():
            module = ModuleType(name)
            for kind in kinds:
                setattr(module, kind, type(kind, (Recorded,), {}))
            patch.setitem(sys.modules, name, module)
        sys.modules["launch.substitutions"].LaunchConfiguration = LaunchConfiguration  # type: ignore[attr-defined]
        yield
