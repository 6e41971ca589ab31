"""`nav-vlm up`: what bringup.launch.py starts, in one process, for machines without the launch tools."""

from __future__ import annotations

import argparse
import sys

from nav_vlm_node.errors import UserError
from nav_vlm_node.ros.bringup import ARGUMENTS, plan

HELP = "what bringup.launch.py starts, without the launch tools"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments: those of bringup.launch.py, from the same table."""
    parser.epilog = "Arguments may be written as for ros2 launch, too: nav-vlm up rig:=usb_cam role:=gpu"
    parser.add_argument("words", nargs="*", metavar="NAME:=VALUE", help="an argument as ros2 launch takes it")
    for argument in ARGUMENTS:
        parser.add_argument(
            f"--{argument.name.replace('_', '-')}",
            dest=argument.name,
            choices=argument.choices or None,
            metavar="|".join(filter(None, argument.choices)) or "VALUE",
            help=argument.description + (f" (default: {argument.default})" if argument.default else ""),
        )


def given(args: argparse.Namespace) -> dict[str, str]:
    """The arguments that were given, in either form. Raises UserError for a word that is none."""
    values = {name: value for argument in ARGUMENTS if (value := getattr(args, name := argument.name)) is not None}
    for word in args.words:
        name, assigned, value = word.partition(":=")
        if not assigned:
            raise UserError(f"{word!r} is no argument; write NAME:=VALUE or --name VALUE, see: nav-vlm up --help")
        values[name] = value
    return values


def run(args: argparse.Namespace) -> int:
    """Start it; returns the exit status when it has been stopped."""
    wanted = plan(given(args))
    if wanted.respawn:
        raise UserError("respawn needs ros2 launch, or a service manager that starts nav-vlm up again")
    for note in wanted.notes:
        print(f"nav-vlm: {note}", file=sys.stderr)
    try:
        from nav_vlm_node.ros.up import start
    except ModuleNotFoundError as error:
        raise UserError(f"no ROS 2 here ({error}); run make setup, or source a ROS 2 installation") from None
    return start(wanted)
