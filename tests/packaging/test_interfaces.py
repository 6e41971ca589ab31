"""The message constants are the enums' values, and every field is explained."""

from __future__ import annotations

import enum
import re
from pathlib import Path

import pytest

from nav_vlm_msgs.action import Guide
from nav_vlm_msgs.msg import Instruction, Query, Step
from nav_vlm_msgs.srv import ListAdapters, SetAdapter
from nav_vlm_node.instruction import Action, Status

SOURCE = Path(__file__).parents[2] / "ros2_ws/src/nav_vlm_msgs"
FILES = sorted(path for kind in ("msg", "srv", "action") for path in (SOURCE / kind).iterdir())


def constants(message: type, prefix: str) -> dict[str, int]:
    """The constants of a message class without their common prefix."""
    names = [name for name in dir(type(message)) if name.startswith(prefix)]
    return {name.removeprefix(prefix): getattr(message, name) for name in names}


@pytest.mark.parametrize(("message", "prefix", "values"), [(Instruction, "STATUS_", Status), (Step, "ACTION_", Action)])
def test_constants_are_the_enums(message: type, prefix: str, values: type[enum.Enum]) -> None:
    assert constants(message, prefix) == {member.name: member.value for member in values}


def test_priorities_and_stages_are_distinct() -> None:
    for message, prefix, count in ((Query, "PRIORITY_", 2), (Guide.Feedback, "STAGE_", 4)):
        values = constants(message, prefix)
        assert sorted(values.values()) == list(range(count)), values


def test_fields_of_the_contract() -> None:
    fields = set(Instruction.get_fields_and_field_types())
    assert fields == {
        *("header", "query_id", "query", "status", "text", "steps", "confidence", "priority"),
        *("latency", "image_age", "model", "adapter", "message"),
    }
    assert set(Query.get_fields_and_field_types()) == {"header", "id", "text", "priority"}
    assert set(Guide.Goal.get_fields_and_field_types()) == {"query"}
    assert set(Guide.Result.get_fields_and_field_types()) == {"instruction"}
    assert set(SetAdapter.Request.get_fields_and_field_types()) == {"adapter"}
    assert "adapters" in ListAdapters.Response.get_fields_and_field_types()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_line_is_explained(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# ")
    for line in lines:
        if re.match(r"^[a-z]", line):
            assert re.search(r"#\s*\S", line), f"{path.name}: no comment: {line}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_cmake_lists_every_interface(path: Path) -> None:
    listed = (SOURCE / "CMakeLists.txt").read_text(encoding="utf-8")
    assert f'"{path.parent.name}/{path.name}"' in listed
