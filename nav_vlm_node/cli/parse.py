"""`nav-vlm parse`: a sentence to steps, and what of it could not be understood."""

from __future__ import annotations

import argparse
import json
import math
import sys

from nav_vlm_node.errors import UserError
from nav_vlm_node.instruction import Step
from nav_vlm_node.language import STEP_LENGTH, Parsed, parse, render_canonical
from nav_vlm_node.score_json import step_to_json

HELP = "a sentence to steps, and what of it was not understood"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `nav-vlm parse`."""
    parser.add_argument("text", metavar="TEXT", help='the sentence; "-" reads it from standard input')
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--step-length",
        type=float,
        default=STEP_LENGTH,
        metavar="METRES",
        help='what "3 steps" counts in (default: %(default)s)',
    )


def _read(text: str) -> str:
    if text == "-":
        text = sys.stdin.buffer.read().decode("utf-8", errors="replace")
    if not text.strip():
        raise UserError('there is no text to parse; give a sentence, or "-" to read standard input')
    return text


def _line(step: Step) -> str:
    """Like "TURN     left 35 degrees", one step a line."""
    parts = [f"{step.action.name:<12}"]
    if not math.isnan(step.bearing):
        degrees = round(math.degrees(step.bearing))
        side = "ahead" if degrees == 0 else "behind" if abs(degrees) == 180 else "left" if degrees > 0 else "right"
        parts.append(side if side in ("ahead", "behind") else f"{abs(degrees)} degrees {side}")
    if not math.isnan(step.distance):
        parts.append(f"{step.distance:.3g} m")
    if step.landmark:
        parts.append(step.landmark)
    return "  ".join(parts).rstrip()


def to_json(parsed: Parsed) -> dict[str, object]:
    """The object that --json prints."""
    return {
        "steps": [step_to_json(step) for step in parsed.steps],
        "unparsed": list(parsed.unparsed),
        "canonical": render_canonical(parsed.steps),
    }


def run(args: argparse.Namespace) -> int:
    """Print the steps of `args.text`; 0 even where something was not understood, which is part of the answer."""
    if not 0 < args.step_length < 10:
        raise UserError(f"--step-length must be between 0 and 10 metres, not {args.step_length:g}")
    parsed = parse(_read(args.text), step_length=args.step_length)
    if args.json:
        print(json.dumps(to_json(parsed), ensure_ascii=False, allow_nan=False))
        return 0
    for step in parsed.steps:
        print(_line(step))
    for piece in parsed.unparsed:
        print(f"not understood: {piece[:200]}")
    return 0
