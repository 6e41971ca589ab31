#!/usr/bin/env python3
"""Write the interface tables in README.md and docs/ from the code, or check that they are up to date.

    python tools/make_interfaces.py [--check] [FILE ...]

A table stands between two marks, which are kept:

    <!-- interface: topics -->
    ...
    <!-- end interface -->

The word says which (see TABLES). Topics and services are those of a node that is really made; parameters come from
their tables, messages and their comments from the .msg, .srv and .action files, options from the argument parsers.
With --check nothing is written, and the exit status is 1 where a table is not what the code gives.
"""

from __future__ import annotations

import argparse
import difflib
import functools
import importlib
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nav_vlm_node import cli
from nav_vlm_node.errors import UserError
from nav_vlm_node.ros.parameter_table import PARAMETERS, Spec

ROOT = Path(__file__).resolve().parents[1]
MESSAGES = ROOT / "ros2_ws/src/nav_vlm_msgs"
MARKED = re.compile(r"(?P<open><!-- interface: (?P<name>[^\n]*?) -->\n).*?(?P<close><!-- end interface -->)", re.DOTALL)
OPENING = re.compile(r"<!-- interface:")

# What each is for. A name that a node has and this table lacks, or the other way round, is an error.
MEANINGS = {
    "image": "the camera; only the newest picture is looked at, in any common encoding",
    "image/compressed": "the same as jpeg or png; instead of `image`, by parameter `image_transport`",
    "camera_info": "field of view and lens; without it the parameter `camera_hfov` counts",
    "odom": "where the wearer is by their own counting; with it the way is remembered, by parameter `remember_way`",
    "query": "a question; an id that has come before is not answered again",
    "query_text": "a question as plain text, as speech recognition sends it",
    "instruction": "exactly one answer to each question, also to those that came by action",
    "instruction_text": "the sentence alone, for a speech node",
    "/diagnostics": "model, engine process, image, answers, memory",
    "guide": "a question with its answer watched while it is written; canceling stops the model at its next token",
    "enable": "switches answering on or off",
    "repeat": "publishes once more what was said last; a direction only while it holds: 3 s, or 10 s at the same place "
    "by `odom`; else that it does not",
    "set_adapter": "changes the adapter, after the answer in progress",
    "list_adapters": "what `set_adapter` can choose from",
    "truth": "what is true of the picture that is shown now, as JSON; kept for those who join late",
}
# Of the nodes of a simulated walk.
WALK_MEANINGS = {
    "wearer": "where the body is at that simulated time, in the frame map; the same time twice asks for a picture",
    "image": "what the camera sees, rgb8: `rate` times a simulated second, and when it is asked for",
    "camera_info": "its field of view, with the image's stamp",
    "odom": "where the wearer thinks to be: a scale error, and a heading that drifts",
    "imu": "heading by the same counting, turning, gravity",
    "/clock": "the time, when all else of that time is out",
    "query": "what the wearer asks",
    "instruction": "what the wearer does",
}
# Of the simulated camera, where it is another end of the same topic.
CAMERA_MEANINGS = {
    "image": "what the camera sees, rgb8",
    "image/compressed": "the same as jpeg, by parameter `compressed`",
    "camera_info": "its field of view, with the image's stamp",
}


# ---- nodes -------------------------------------------------------------------------------------


@functools.cache
def guide_interfaces() -> tuple[list[list[str]], list[list[str]]]:
    """(topics, services and actions) of the guide node, as rows."""
    from rclpy.parameter import Parameter

    from nav_vlm_node.ros.node import GuideNode

    topics: dict[str, list[str]] = {}
    others: dict[str, list[str]] = {}
    for transport in ("raw", "compressed"):
        settings = [Parameter("image_transport", value=transport), Parameter("autostart", value=False)]
        with _node(GuideNode, settings) as node:
            topics.update(_topics(node))
            others["guide"] = ["action", "`guide`", "`nav_vlm_msgs/action/Guide`", MEANINGS["guide"]]
            others.update(_services(node))
            node.stop()
    order = list(MEANINGS)
    return [topics[name] for name in sorted(topics, key=order.index)], list(others.values())


@functools.cache
def camera_interfaces() -> list[list[str]]:
    """Topics of the simulated camera's node, as rows."""
    from rclpy.parameter import Parameter

    from nav_vlm_sim.ros.camera_node import SimulatedCameraNode

    with _node(SimulatedCameraNode, [Parameter("compressed", value=True)]) as node:
        found = _topics(node)
        node.stop()
    return [[*row[:-1], CAMERA_MEANINGS.get(name, row[-1])] for name, row in found.items()]


@functools.cache
def walk_interfaces() -> list[list[str]]:
    """Topics of the rig and of the walker, as rows: [node, ...]."""
    import threading

    from rclpy.parameter import Parameter

    from nav_vlm_sim.ros.rig_node import RigNode
    from nav_vlm_sim.ros.walker_node import WalkerNode

    rows = []
    for kind, more in ((RigNode, {}), (WalkerNode, {"ended": threading.Event()})):
        with _node(kind, [Parameter("plan", value="7")], **more) as node:
            for name, row in _topics(node, WALK_MEANINGS).items():
                rows.append([f"`{node.get_name()}` {row[0]}", *row[1:-1], WALK_MEANINGS[name]])
            node.stop()
    return rows


class _node:
    """A node of this class, on a context of its own."""

    def __init__(self, kind: Callable[..., Any], parameters: list[Any], **more: Any) -> None:
        import rclpy
        from rclpy.context import Context

        self._context = Context()
        rclpy.init(context=self._context, args=["--ros-args", "--log-level", "error"])
        self._node = kind(context=self._context, parameter_overrides=parameters, **more)

    def __enter__(self) -> Any:
        return self._node

    def __exit__(self, *_: object) -> None:
        self._node.destroy_node()
        self._context.shutdown()


def _topics(node: Any, meanings: Mapping[str, str] = MEANINGS) -> dict[str, list[str]]:
    """name -> [direction, name, type, quality of service, meaning]."""
    found = {}
    ends = [("subscribes", end) for end in node.subscriptions] + [("publishes", end) for end in node.publishers]
    for direction, end in ends:
        name = end.topic_name.removeprefix("/")
        name = f"/{name}" if name in ("diagnostics", "clock") else name
        if name in ("rosout", "parameter_events") or name.startswith(f"{node.get_name()}/"):
            continue
        found[name] = [
            direction,
            f"`{name}`",
            f"`{_type(end.msg_type)}`",
            _qos(end.qos_profile),
            _meaning(name, meanings),
        ]
    return found


def _services(node: Any) -> dict[str, list[str]]:
    found = {}
    for service in node.services:
        name = service.srv_name.removeprefix("/")
        if not name.startswith(f"{node.get_name()}/"):  # parameters and lifecycle, which every such node has
            found[name] = ["service", f"`{name}`", f"`{_type(service.srv_type)}`", _meaning(name)]
    return found


def _meaning(name: str, meanings: Mapping[str, str] = MEANINGS) -> str:
    if name not in meanings:
        raise UserError(f"say in MEANINGS what {name!r} is for")
    return meanings[name]


def _type(kind: Any) -> str:
    module = kind.__module__.split(".")
    return "/".join((module[0], module[1], kind.__name__))


def _qos(profile: Any) -> str:
    words = [profile.reliability.name, f"last {profile.depth}"]
    words += ["kept for late joiners"] if profile.durability.name == "TRANSIENT_LOCAL" else []
    return ", ".join(words).lower().replace("_", " ")


# ---- tables ------------------------------------------------------------------------------------


def topics() -> str:
    """Topics of the guide node."""
    return markdown(["", "topic", "type", "quality of service", "what it is"], guide_interfaces()[0])


def services() -> str:
    """Action and services of the guide node."""
    return markdown(["", "name", "type", "what it does"], guide_interfaces()[1])


def parameters() -> str:
    """Parameters of the guide node."""
    return parameter_table(PARAMETERS)


def camera_topics() -> str:
    """Topics of the simulated camera."""
    return markdown(["", "topic", "type", "quality of service", "what it is"], camera_interfaces())


def camera_parameters() -> str:
    """Parameters of the simulated camera."""
    from nav_vlm_sim.ros.camera_node import PARAMETERS as CAMERA

    return parameter_table(CAMERA)


def walk_topics() -> str:
    """Topics of the nodes of a simulated walk."""
    return markdown(["", "topic", "type", "quality of service", "what it is"], walk_interfaces())


def rig_parameters() -> str:
    """Parameters of the rig."""
    from nav_vlm_sim.ros.walk_tables import RIG

    return parameter_table(RIG)


def walker_parameters() -> str:
    """Parameters of the walker."""
    from nav_vlm_sim.ros.walk_tables import WALKER

    return parameter_table(WALKER)


def parameter_table(specs: Sequence[Spec]) -> str:
    """name, type, default, what is allowed, what it is."""
    rows = []
    for spec in specs:
        shown = f'"{spec.default}"' if isinstance(spec.default, str) else str(spec.default).lower()
        allowed = " ".join(part for part in (spec.allowed, spec.unit) if part)
        at = "; only at start" if spec.read_only else ""
        rows.append([f"`{spec.name}`", spec.type_name, f"`{shown}`", allowed, f"{spec.description}{at}"])
    return markdown(["parameter", "type", "default", "allowed", "what it is"], rows)


def messages() -> str:
    """Every message, service and action with its fields and constants."""
    files = [path for kind in ("msg", "srv", "action") for path in sorted((MESSAGES / kind).iterdir())]
    return "\n\n".join(_message(path) for path in files)


def _message(path: Path) -> str:
    """One interface file as a heading, its sentence, and its fields."""
    lines = path.read_text(encoding="utf-8").splitlines()
    sections = {"msg": [""], "srv": ["request", "response"], "action": ["goal", "result", "feedback"]}[path.parent.name]
    rows: list[list[str]] = []
    section = 0
    intro: list[str] = []
    for line in lines:
        if line == "---":
            section += 1
            continue
        declared, _, comment = (part.strip() for part in line.partition("#"))
        if not declared:
            if comment and not rows and section == 0 and not intro:
                intro.append(comment)
            elif comment and line.startswith(" ") and rows:  # the comment above goes on
                rows[-1][-1] += f" {comment}"
            continue
        kind, name = declared.split(maxsplit=1)
        rows.append([sections[section], f"`{name.replace('=', ' = ')}`", f"`{kind}`", comment])
    head = f"### {path.parent.name}/{path.stem}\n\n{' '.join(intro)}\n\n"
    if len(sections) == 1:
        return head + markdown(["field", "type", "what it is"], [row[1:] for row in rows])
    return head + markdown(["", "field", "type", "what it is"], rows)


def commands() -> str:
    """The subcommands of nav-vlm, for the README."""
    rows = [[f"`nav-vlm {name}`", help_] for name, (_, help_) in cli.COMMANDS.items()]
    return markdown(["command", "what it does"], rows)


def options() -> str:
    """The subcommands of nav-vlm with all their options."""
    return _options("nav-vlm", cli.COMMANDS)


def training_options() -> str:
    """Those of nav-vlm-train."""
    from nav_vlm_training.cli import COMMANDS as TRAINING

    return _options("nav-vlm-train", TRAINING)


def variants() -> str:
    """What `nav-vlm-train fit --variant` knows."""
    from nav_vlm_training.variants import VARIANTS

    return markdown(["`--variant`", "what learns"], [[f"`{name}`", one.about] for name, one in VARIANTS.items()])


def _options(program: str, known: Mapping[str, tuple[str, str]]) -> str:
    parts = []
    for name, (module, help_) in known.items():
        parser = argparse.ArgumentParser(prog=f"{program} {name}", add_help=False)
        importlib.import_module(module).add_arguments(parser)
        table = markdown(["argument", "what it is"], list(_arguments(parser)))
        parts.append(f"### {program} {name}\n\n{help_[0].upper()}{help_[1:]}.\n\n{table}")
    return "\n\n".join(parts)


def _arguments(parser: argparse.ArgumentParser) -> Iterator[list[str]]:
    """Name with its value, and help, of every argument."""
    formatter = parser._get_formatter()
    for action in parser._actions:
        if action.help == argparse.SUPPRESS:
            continue
        name = action.option_strings[-1] if action.option_strings else ""
        optional = formatter._get_default_metavar_for_optional(action) if name else action.dest
        value = "" if action.nargs == 0 else formatter._format_args(action, optional)
        yield [f"`{f'{name} {value}'.strip()}`", formatter._expand_help(action) if action.help else ""]


TABLES: dict[str, Callable[[], str]] = {
    "topics": topics,
    "services": services,
    "parameters": parameters,
    "camera topics": camera_topics,
    "camera parameters": camera_parameters,
    "walk topics": walk_topics,
    "rig parameters": rig_parameters,
    "walker parameters": walker_parameters,
    "messages": messages,
    "commands": commands,
    "options": options,
    "training options": training_options,
    "variants": variants,
}


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


# ---- documents ---------------------------------------------------------------------------------


def updated(text: str, name: str) -> str:
    """The document with its tables as the code gives them. Raises UserError."""
    if len(MARKED.findall(text)) != len(OPENING.findall(text)):
        raise UserError(f"{name}: an `<!-- interface: ... -->` has no `<!-- end interface -->`")
    for found in MARKED.finditer(text):
        if found["name"] not in TABLES:
            raise UserError(f"{name}: `interface: {found['name']}`: give one of {', '.join(TABLES)}")
    return MARKED.sub(lambda m: f"{m['open']}{TABLES[m['name']]()}\n{m['close']}", text)


def documents(root: Path) -> list[Path]:
    """README.md and the pages of docs/ that there are."""
    found = [root / "README.md", *sorted((root / "docs").rglob("*.md"))]
    return [path for path in found if path.is_file()]


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Write or check; returns the exit status."""
    parser = argparse.ArgumentParser(description="interface tables of README.md and docs/ from the code")
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="which documents (README.md and docs/)")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a table is out of date")
    args = parser.parse_args(arguments)
    os.environ["COLUMNS"] = "120"  # how wide argparse thinks a terminal is
    stale = 0
    try:
        for path in [root / file for file in args.files] or documents(root):
            text = path.read_text(encoding="utf-8")
            new = updated(text, path.name)
            if new == text:
                continue
            name = str(path.relative_to(root))
            if args.check:
                stale += 1
                before, after = text.splitlines(), new.splitlines()
                print("\n".join(difflib.unified_diff(before, after, name, f"{name} (code)", lineterm="", n=0)))
            else:
                path.write_text(new, encoding="utf-8")
                print(f"{name}: written")
    except (UserError, OSError) as error:
        print(f"make_interfaces: error: {error}", file=sys.stderr)
        return 2
    if stale:
        print("make_interfaces: tables are out of date; run: python tools/make_interfaces.py", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
