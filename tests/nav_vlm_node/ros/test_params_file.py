"""A parameter file means to us what it means to ROS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import rclpy
import yaml
from rclpy.context import Context

from nav_vlm_node import paths
from nav_vlm_node.errors import UserError
from nav_vlm_node.ros.bringup import plan
from nav_vlm_node.ros.parameters import defaults
from nav_vlm_node.ros.params_file import parameters_from_file
from nav_vlm_node.ros.up import node_arguments

FILE = """
/nav_vlm: {ros__parameters: {a: exact, last: exact}}
/**/nav_vlm: {ros__parameters: {b: 1, last: starstar}}
/**: {ros__parameters: {c: 2.5, group: {inner: {x: true}}, names: [p, q]}}
nav_vlm: {ros__parameters: {d: "3"}}
rig: {nav_vlm: {ros__parameters: {e: nested}}}
/*/nav_vlm: {ros__parameters: {f: star, last: star}}
/rig/other: {ros__parameters: {g: not ours}}
/**/rig/nav_vlm: {ros__parameters: {h: starstar}}
/rig/deeper/nav_vlm: {ros__parameters: {i: deep}}
"""


@pytest.mark.parametrize("namespace", ["", "rig", "rig/deeper", "other"])
def test_it_is_read_as_rcl_reads_it(namespace: str, tmp_path: Path, ros_domain: int) -> None:
    path = tmp_path / "file.yaml"
    path.write_text(FILE)
    context = Context()
    rclpy.init(args=["--ros-args", "--params-file", str(path)], context=context)
    try:
        node = rclpy.create_node(
            "nav_vlm", context=context, namespace=namespace, automatically_declare_parameters_from_overrides=True
        )
        found: dict[str, Any] = dict(node.get_parameters_by_prefix(""))
        by_ros = {name: parameter.value for name, parameter in found.items()}
        full_name = node.get_fully_qualified_name()
        node.destroy_node()
    finally:
        rclpy.shutdown(context=context)
    by_ros = {name: value for name, value in by_ros.items() if name.partition(".")[0] in yaml_names()}
    assert by_ros
    assert parameters_from_file(path, full_name) == by_ros


def yaml_names() -> set[str]:
    """The names in FILE, without those that every node has."""
    found: set[str] = set()

    def walk(tree: dict[str, object]) -> None:
        for key, value in tree.items():
            if key == "ros__parameters":
                assert isinstance(value, dict)
                found.update(value)
            elif isinstance(value, dict):
                walk(value)

    walk(yaml.safe_load(FILE))
    return found


def test_the_shipped_file_is_every_default() -> None:
    for name in ("/nav_vlm", "/me/nav_vlm"):
        assert parameters_from_file(paths.config() / "nav_vlm.yaml", name) == defaults()


def test_an_empty_file_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "empty.yaml"
    path.write_text("# nothing yet\n")
    assert parameters_from_file(path, "/nav_vlm") == {}


@pytest.mark.parametrize("value", ["[1, two]", "2024-05-01", "[[1], [2]]", "[2024-05-01]", "[null]", "[1, 2.5]"])
def test_what_no_parameter_can_be_is_one_line_also_for_a_parameter_that_nobody_knows(
    value: str, tmp_path: Path
) -> None:
    path = tmp_path / "file.yaml"
    path.write_text(f"nav_vlm: {{ros__parameters: {{mine: {{own: {value}}}}}}}")
    with pytest.raises(UserError, match=f"params_file {path}: mine.own is ") as error:
        plan({"params_file": str(path)})
    assert "\n" not in str(error.value)


def test_whatever_is_let_by_can_be_given_to_a_node(tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    path.write_text("nav_vlm: {ros__parameters: {a: [], b: [1, 2], c: [x, y], d: [true], e: [1.5, 2.0], f: 7}}")
    arguments = node_arguments(plan({"params_file": str(path)}).nodes[0])
    found = {parameter.name: parameter.value for parameter in arguments["parameter_overrides"]}
    assert [found[name] for name in "bcdef"] == [[1, 2], ["x", "y"], [True], [1.5, 2.0], 7]
