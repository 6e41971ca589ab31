"""The layers of the package: an inner one never imports an outer one, and ROS and torch stay where they belong."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import nav_vlm_node

PACKAGE = Path(nav_vlm_node.__file__).parent
# From the inside out; what is not named here is a leaf that everyone may use.
LAYERS = [
    {"instruction", "errors"},
    {"language", "score", "view", "replies"},
    {"frames", "vlm"},
    {"guard", "guide"},
    {"ros", "paths"},
    {"cli"},
]
ROS = {"rclpy", "sensor_msgs", "std_msgs", "std_srvs", "nav_vlm_msgs", "diagnostic_msgs", "builtin_interfaces"}
TORCH = {"torch", "transformers", "peft"}


def layer_of(part: str) -> int:
    return next((number for number, parts in enumerate(LAYERS) if part in parts), -1)


def imports_of(path: Path, *, at_top: bool = False) -> set[str]:
    """The modules that a file imports; at_top: only when it is imported, not inside functions or TYPE_CHECKING."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.update({node.module, *(f"{node.module}.{alias.name}" for alias in node.names)})
        if at_top and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            return
        if at_top and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text()))
    return found


MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_imports_an_outer_layer(path: Path) -> None:
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for name in imports_of(path):
        if name.startswith("nav_vlm_node."):
            other = name.split(".")[1]
            # A file's path is looked up by whoever starts something, and the parameter table is plain data.
            assert layer_of(other) <= layer_of(own) or layer_of(own) < 0, f"{own} imports {other}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_ros_is_imported_in_ros_only(path: Path) -> None:
    if path.relative_to(PACKAGE).parts[0] not in ("ros", "cli"):
        assert not {name.split(".")[0] for name in imports_of(path)} & ROS


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_torch_and_opencv_are_imported_by_the_model_or_when_needed(path: Path) -> None:
    part = path.relative_to(PACKAGE).parts[0]
    roots = {name.split(".")[0] for name in imports_of(path, at_top=True)}
    assert part == "vlm" or not roots & TORCH
    assert part in ("vlm", "ros") or "cv2" not in roots


def test_what_ask_parse_and_the_guide_need_works_without_ros_and_without_torch() -> None:
    blocked = ", ".join(repr(name) for name in sorted(ROS | {"torch", "transformers"}))
    code = (
        f"import sys\nfor name in ({blocked}): sys.modules[name] = None\n"
        "import nav_vlm_node.guide, nav_vlm_node.cli.ask, nav_vlm_node.score\n"
        "from nav_vlm_node.ros.parameters import guide_options; guide_options({})"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
