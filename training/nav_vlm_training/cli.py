"""The command `nav-vlm-train`. Each subcommand is a module in `commands`, imported only when it is chosen.

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

# name -> module, and the sentence of `nav-vlm-train --help` (a test compares it with the module's HELP)
COMMANDS: dict[str, tuple[str, str]] = {
    "evaluate": (
        "nav_vlm_training.commands.evaluate",
        "how right a model's answers are on a data set, beside baselines",
    ),
    "embedded": (
        "nav_vlm_training.commands.embedded",
        "make the model that comes with nav_vlm, from nothing",
    ),
    "card": (
        "nav_vlm_training.commands.card",
        "write the embedded model's card from what was recorded and measured",
    ),
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


def parse_arguments(argv: Sequence[str]) -> tuple[Command, argparse.Namespace]:
    """The chosen subcommand, imported, and its arguments, with `argv` added as `args.argv`. Raises UserError."""
    parser = _Parser(prog="nav-vlm-train", description="Data, adapters and metrics for nav_vlm.")
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
    if command is None:
        parser.print_help()
        raise SystemExit(2)
    args.argv = list(argv)
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
        print(f"nav-vlm-train: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output has gone (`nav-vlm-train ... | head`): not an error, and nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


if __name__ == "__main__":
    sys.exit(main())
