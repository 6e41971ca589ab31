"""A ROS 2 parameter file as one node sees it, read here because rcl's own result depends on the order of files.

With several files (or `-p` beside a file), rcl merges by node pattern and applies the patterns in the order in which
each was seen first, so that a value given later can lose; and Humble's rclpy does not know every pattern. What is
started here gets its parameters in one piece instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from nav_vlm_node.errors import UserError

_KEY = "ros__parameters"


def parameters_from_file(path: Path | str, node: str) -> dict[str, Any]:
    """What the file says about the node of this full name ("/rig/nav_vlm"): dotted name -> value, later entries win.

    Node patterns are rcl's: `/rig/nav_vlm`, `nav_vlm` (in no namespace), `/**/nav_vlm`, `/*/nav_vlm`, `/**`, and
    namespaces may be nested. Raises UserError for a file that cannot be read or is no parameter file.
    """
    found: dict[str, Any] = {}
    for pattern, values in _sections(read_yaml(path, "params_file"), "", str(path)):
        if _matches(pattern, node):
            found.update(_flat(values, ""))
    for name, value in found.items():
        if not _can_be(value):
            raise UserError(
                f"params_file {path}: {name} is {str(value)[:60]!r}, which no ROS parameter can be; give a boolean, a "
                "number, a quoted text, or a list of one kind of these"
            )
    return found


def read_yaml(path: Path | str, what: str) -> dict[str, Any]:
    """The mapping in a YAML file, {} for an empty one. Raises UserError, in one line that begins with `what`."""
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{what} {path} cannot be read ({error.strerror}); correct the path") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{what} {path} is not YAML ({' '.join(str(error).split())}); correct it") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise UserError(f"{what} {path} holds no mapping; see config/nav_vlm.yaml for the form")
    return content


def _sections(tree: dict[str, Any], prefix: str, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """(node pattern, parameters) of every section, in the file's order."""
    for key, value in tree.items():
        if key == _KEY:
            if not isinstance(value, dict):
                raise UserError(f"params_file {path}: {_KEY} of {prefix or '/'} is no mapping; give NAME: VALUE lines")
            yield prefix, value
        elif isinstance(value, dict):
            yield from _sections(value, f"{prefix}/{str(key).strip('/')}", path)
        else:
            raise UserError(f"params_file {path}: {key} stands outside {_KEY}; see config/nav_vlm.yaml for the form")


def _matches(pattern: str, node: str) -> bool:
    """Whether rcl's pattern means this node: `**` is any number of names, `*` is one."""
    parts = [
        r"(/\w+)*" if part == "**" else r"/\w+" if part == "*" else "/" + re.escape(part)
        for part in pattern.strip("/").split("/")
    ]
    return re.fullmatch("".join(parts), node) is not None


def _can_be(value: object) -> bool:
    """Whether a ROS parameter can have this value: YAML knows dates, and lists of anything."""
    items = value if isinstance(value, list) else [value]
    kinds = {type(item) for item in items}
    return value is None or (len(kinds) <= 1 and kinds <= {bool, int, float, str})


def _flat(values: dict[str, Any], prefix: str) -> dict[str, Any]:
    """Nested parameters as ROS names them, with dots."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat.update(_flat(value, f"{prefix}{name}."))
        else:
            flat[f"{prefix}{name}"] = value
    return flat
