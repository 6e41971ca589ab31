"""The command `nav-vlm`. Each subcommand is a module beside this one, imported only when it is chosen.

A subcommand module has `HELP`, `add_arguments(parser)` and `run(args) -> exit status`.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
from collections.abc import Sequence
from typing import Protocol, cast

from nav_vlm_node.errors import UserError

# name -> module, and the sentence of `nav-vlm --help` (a test compares it with the module's HELP)
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("nav_vlm_node.cli.demo", "the whole system in simulation: camera, node, streamed instructions, the truth"),
    "ask": ("nav_vlm_node.cli.ask", "one answer to one question about one image, without ROS"),
    "parse": ("nav_vlm_node.cli.parse", "a sentence to steps, and what of it was not understood"),
    "camera": ("nav_vlm_node.cli.camera", "publish a camera, a video or a folder of images as a camera"),
    "up": ("nav_vlm_node.cli.up", "what bringup.launch.py starts, without the launch tools"),
    "doctor": ("nav_vlm_node.cli.doctor", "what is installed, what is missing, what to do"),
}


class Command(Protocol):
    """What a subcommand module offers."""

    HELP: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""

    def run(self, args: argparse.Namespace) -> int:
        """Do it; returns the exit status. Raises UserError for what the user can put right."""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as every other error here."""

    def error(self, message: str) -> None:  # type: ignore[override]
        raise UserError(f"{message}; see: {self.prog} --help")


def version() -> str:
    """The installed version, or "unknown" in a checkout that was not installed."""
    from importlib import metadata

    try:
        return metadata.version("nav_vlm")
    except metadata.PackageNotFoundError:
        return "unknown"


def parse_arguments(argv: Sequence[str]) -> tuple[Command, argparse.Namespace]:
    """The chosen subcommand, imported, and its arguments. Raises UserError."""
    parser = _Parser(prog="nav-vlm", description="Spoken-ready walking instructions from a worn camera.")
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    parser.add_argument("--verbose", action="store_true", help="log more, and show where an error comes from")
    subparsers = parser.add_subparsers(metavar="COMMAND", dest="command")
    chosen = next((word for word in argv if not word.startswith("-")), None)
    command: Command | None = None
    for name, (module, help_) in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=help_, description=f"{help_[0].upper()}{help_[1:]}.")
        if name == chosen:
            command = cast(Command, importlib.import_module(module))
            command.add_arguments(subparser)
    args = parser.parse_args(argv)
    if args.version:
        print(f"nav-vlm {version()}")
        raise SystemExit(0)
    if command is None:
        parser.print_help()
        raise SystemExit(2)
    return command, args


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line. Returns the exit status: 2 for an error of the user's, 130 for Ctrl-C."""
    # Before torch is imported: its threads must not spin while other processes need the cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    words = sys.argv[1:] if argv is None else argv
    verbose = "--verbose" in words
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        stream=sys.stderr,
        format="%(levelname)s %(name)s: %(message)s",
    )
    try:
        command, args = parse_arguments(words)
        return command.run(args)
    except UserError as error:
        if verbose:
            logging.getLogger(__name__).info("raised here", exc_info=error)
        print(f"nav-vlm: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output has gone (`nav-vlm ... | head`): not an error, and nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
