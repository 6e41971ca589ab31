"""The command `nav-vlm`. Each subcommand is a module beside this one, imported only when it is chosen.

A subcommand module has `HELP`, `add_arguments(parser)` and `run(args) -> exit status`.
"""

from __future__ import annotations

from nav_vlm_node.command_line import CommandLine

# name -> module, and the sentence of `nav-vlm --help` (a test compares it with the module's HELP)
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("nav_vlm_node.cli.demo", "the whole system in simulation: camera, node, streamed instructions, the truth"),
    "ask": ("nav_vlm_node.cli.ask", "one answer to one question about one image, without ROS"),
    "parse": ("nav_vlm_node.cli.parse", "a sentence to steps, and what of it was not understood"),
    "camera": ("nav_vlm_node.cli.camera", "publish a camera, a video or a folder of images as a camera"),
    "up": ("nav_vlm_node.cli.up", "what bringup.launch.py starts, without the launch tools"),
    "record": ("nav_vlm_node.cli.record", "a bag of camera, questions and answers, without rosbag2's tools"),
    "replay": (
        "nav_vlm_node.cli.replay",
        "a recording's questions answered again, without ROS: report.json, report.html",
    ),
    "doctor": ("nav_vlm_node.cli.doctor", "what is installed, what is missing, what to do"),
}


def version() -> str:
    """The installed version, or "unknown" in a checkout that was not installed."""
    from importlib import metadata

    try:
        return metadata.version("nav_vlm")
    except metadata.PackageNotFoundError:
        return "unknown"


_LINE = CommandLine("nav-vlm", "Spoken-ready walking instructions from a worn camera.", COMMANDS, version)
parse_arguments, main = _LINE.parse, _LINE.main
