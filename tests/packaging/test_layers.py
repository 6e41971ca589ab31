"""Who may import whom. Inner to outer: what an answer is, what it says, how pictures become one, ROS and commands."""

from __future__ import annotations

import ast
import configparser
import functools
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    path
    for folder in ("nav_vlm_node", "training/nav_vlm_training", "ros2_ws/src/nav_vlm_sim/nav_vlm_sim")
    for path in (ROOT / folder).rglob("*.py")
)

# Module of nav_vlm_node (or its first part) -> layer. A module may import its own layer and lower ones.
LAYERS = {
    "errors": 0,
    "instruction": 0,
    "view": 0,
    "paths": 0,
    "results": 0,
    "command_line": 0,
    "cluster": 0,
    "language": 1,
    "score": 1,
    "score_curves": 1,
    "score_json": 1,
    "score_shares": 1,
    "spoken": 1,
    "frames": 2,
    "sources": 2,
    "vlm": 2,
    "guard": 3,
    "guide": 3,
    "replies": 1,
    "session": 3,
    "wayfinder": 3,
    "replay": 4,
    "cli": 4,
    "ros": 4,
}
ROS = {
    "rclpy", "nav_vlm_msgs", "launch", "launch_ros", "cv_bridge", "ament_index_python",
    "sensor_msgs", "std_msgs", "std_srvs", "diagnostic_msgs", "builtin_interfaces", "geometry_msgs", "nav_msgs",
    "lifecycle_msgs", "rosgraph_msgs",
}  # fmt: skip
HEAVY = {"torch", "transformers", "peft"}  # imported when a model is loaded, not before


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports(path: Path, *, top_only: bool = False) -> Iterator[tuple[str, int]]:
    """The modules that a file imports, with the line; top_only: those imported when the file is."""
    tree = parsed(path)
    nodes: list[ast.AST] = list(tree.body) if top_only else list(ast.walk(tree))
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports here are absolute"
            module = node.module or ""
            yield module, node.lineno
            yield from ((f"{module}.{alias.name}", node.lineno) for alias in node.names)


def part_of(module: str) -> str | None:
    """The part of nav_vlm_node that a module belongs to: "vlm" for "nav_vlm_node.vlm.blip2"."""
    parts = module.split(".")
    return parts[1] if parts[0] == "nav_vlm_node" and len(parts) > 1 else None


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_inner_layers_do_not_import_outer_ones(path: Path) -> None:
    part = part_of(".".join(path.relative_to(ROOT).with_suffix("").parts))
    if part is None or part == "__init__":
        return
    assert part in LAYERS, f"{relative(path)}: say in LAYERS which layer nav_vlm_node.{part} is in"
    for module, line in imports(path):
        other = part_of(module)
        if other in LAYERS:
            assert LAYERS[other] <= LAYERS[part], f"{relative(path)}:{line}: {part} imports the outer {module}"


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_only_the_ros_package_imports_ros(path: Path) -> None:
    in_sim = relative(path).startswith("ros2_ws/")
    if "ros" in path.relative_to(ROOT).parts[:-1] or (in_sim and "ros" in path.stem):
        return
    for module, line in imports(path):
        assert module.split(".")[0] not in ROS, f"{relative(path)}:{line}: {module} outside a ros module"


@pytest.mark.parametrize("path", [p for p in SOURCES if p.is_relative_to(ROOT / "nav_vlm_node")], ids=relative)
def test_the_node_starts_without_the_model_libraries(path: Path) -> None:
    inside = path.parent.name == "vlm"  # modules in vlm/ are imported when an engine is
    for module, line in imports(path, top_only=True):
        root = module.split(".")[0]
        assert inside or root not in HEAVY, f"{relative(path)}:{line}: imports {module} at the top"
        assert inside or root != "cv2" or path.parent.name == "ros", f"{relative(path)}:{line}: {module} at the top"


def test_what_ask_parse_and_the_guide_need_works_without_ros_and_without_torch() -> None:
    blocked = ", ".join(repr(name) for name in sorted(ROS | {"torch", "transformers"}))
    code = (
        f"import sys\nfor name in ({blocked}): sys.modules[name] = None\n"
        "import nav_vlm_node.guide, nav_vlm_node.cli.ask, nav_vlm_node.score\n"
        "from nav_vlm_node.ros.parameters import guide_options; guide_options({})"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_nothing_of_the_wearers_imports_training_or_simulation_but_the_demo() -> None:
    for path in (ROOT / "nav_vlm_node").rglob("*.py"):
        if path.name.startswith("demo") or "demo" in path.parts:
            continue
        for module, line in imports(path):
            assert module.split(".")[0] not in {"nav_vlm_training", "nav_vlm_sim"}, f"{relative(path)}:{line}: {module}"


def test_every_library_that_is_imported_is_declared() -> None:
    named = {
        "cv2": "opencv-python-headless",
        "PIL": "pillow",
        "yaml": "PyYAML",
        "tokenizers": "transformers",
        "huggingface_hub": "transformers",
    }
    own = {"nav_vlm_node", "nav_vlm_sim", "nav_vlm_training"}
    ros = re.compile(r"\w+_(msgs|srvs|interfaces)$|rosbags$")
    for folder in ("", "training", "ros2_ws/src/nav_vlm_sim"):
        config = configparser.ConfigParser()
        config.read(ROOT / folder / "setup.cfg", encoding="utf-8")
        declared = config["options"]["install_requires"] + "".join(config["options.extras_require"].values())
        if folder:
            declared += (ROOT / "setup.cfg").read_text(encoding="utf-8")  # they depend on nav_vlm
        for path in (path for path in SOURCES if relative(path).startswith(folder or "nav_vlm_node")):
            for module in {name.split(".")[0] for name, _ in imports(path)} - own - ROS - set(sys.stdlib_module_names):
                known = re.search(rf"^\s*{named.get(module, module)}\b", declared, re.MULTILINE | re.IGNORECASE)
                assert known or ros.match(module), f"{relative(path)} imports {module}: say so in {folder}/setup.cfg"
