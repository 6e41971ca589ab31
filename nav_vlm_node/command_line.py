"""What the commands `nav-vlm`, `nav-vlm-train` and `nav-vlm-sim` have in common: how they fail, and how they choose.

An error of the user's is one line on standard error and exit status 2; `--verbose` shows where it comes from.
"""

from __future__ import annotations

import argparse
import errno
import importlib
import io
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

from nav_vlm_node.errors import UserError


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as every other error here."""

    def error(self, message: str) -> None:  # type: ignore[override]
        raise UserError(f"{message}; see: {self.prog} --help")


class Command(Protocol):
    """What a subcommand module offers."""

    HELP: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""

    def run(self, args: argparse.Namespace) -> int:
        """Do it; returns the exit status. Raises UserError for what the user can put right."""


def guarded(program: str, run: Callable[[], int], *, verbose: bool = False) -> int:
    """The exit status of `run`: its own, 2 after a UserError, 130 after Ctrl-C, 0 where the reader has gone.

    A full disk is 1 and one line, also where it is standard output that cannot be written.
    """
    _say_what_cannot_be_encoded()
    status = 0
    try:
        try:
            status = run()
        except UserError as error:
            if verbose:
                logging.getLogger(__name__).info("raised here", exc_info=error)
            print(f"{program}: error: {error}", file=sys.stderr)
            status = 2
        finally:
            if sys.stdout is not None:  # as it is where it was closed: `>&-`
                sys.stdout.flush()  # here, where it can be told what fails; at the interpreter's end it cannot
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output has gone (`nav-vlm ... | head`): not an error, and nobody to tell.
        _drop_output()
    except OSError as error:
        if error.errno not in _FULL:
            raise
        where = f" {error.filename}" if error.filename else ""
        print(f"{program}: error: cannot write{where}: {error.strerror}; make room and try again", file=sys.stderr)
        _drop_output()
        return 1
    return status


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _say_what_cannot_be_encoded() -> None:
    """A character that the terminal's encoding does not have, or half of one, is written as its number."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _drop_output() -> None:
    """What is still to be written to standard output goes nowhere, so that the interpreter's end does not fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@dataclass(frozen=True)
class CommandLine:
    """A program whose subcommands are modules, each imported only when it is chosen.

    commands: name -> module (a `Command`), and its sentence in the program's help. version: for --version, if any.
    """

    program: str
    description: str
    commands: Mapping[str, tuple[str, str]]
    version: Callable[[], str] | None = None

    def parse(self, argv: Sequence[str]) -> tuple[Command, argparse.Namespace]:
        """The chosen subcommand, imported, and its arguments, with `argv` added as `args.argv`. Raises UserError."""
        parser = Parser(prog=self.program, description=self.description)
        if self.version:
            parser.add_argument("--version", action="store_true", help="print the version and exit")
        parser.add_argument("--verbose", action="store_true", help="log more, and show where an error comes from")
        subparsers = parser.add_subparsers(metavar="COMMAND", dest="command")
        chosen = next((word for word in argv if not word.startswith("-")), None)
        command: Command | None = None
        for name, (module, help_) in self.commands.items():
            subparser = subparsers.add_parser(name, help=help_, description=f"{help_[0].upper()}{help_[1:]}.")
            if name == chosen:
                command = cast(Command, importlib.import_module(module))
                command.add_arguments(subparser)
        args = parser.parse_args(argv)
        if self.version and args.version:
            print(f"{self.program} {self.version()}")
            raise SystemExit(0)
        if command is None:
            parser.print_help()
            raise SystemExit(2)
        args.argv = list(argv)
        return command, args

    def main(self, argv: Sequence[str] | None = None) -> int:
        """Run the command line; returns the exit status."""
        # Before torch is imported: its threads must not spin while other processes need the cores.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        words = sys.argv[1:] if argv is None else argv
        verbose = "--verbose" in words
        logging.basicConfig(
            level=logging.INFO if verbose else logging.WARNING,
            stream=sys.stderr,
            format="%(levelname)s %(name)s: %(message)s",
        )

        def run() -> int:
            command, args = self.parse(words)
            return command.run(args)

        return guarded(self.program, run, verbose=verbose)
