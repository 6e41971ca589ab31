"""How well the parser understands people's own answers, held against labels made by hand.

    python tools/measure_parser.py DIR --labels tests/data/paper_labels.jsonl [--out docs/results/parser.json]

DIR holds the question-and-answer files that the authors of arXiv 2509.07488 published, line by line
`image;Q:question;A:answer`; they are read from there and never copied. A label is
{"file": name, "line": number from 1, "steps": ["move ahead", "turn left", ...]}: what a person reads in that answer, as
kind (turn, move, locate, hazard; or clear and stop, without a side) and side (left, right, ahead, behind, none).
An answer is right when the parser finds exactly these steps, in this order, each with the right side.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from nav_vlm_node.errors import UserError
from nav_vlm_node.instruction import Action, Step
from nav_vlm_node.language import parse
from nav_vlm_node.score import wilson

KINDS = {
    Action.TURN: "turn",
    Action.MOVE: "move",
    Action.LOCATE: "locate",
    Action.CAUTION: "hazard",
    Action.NO_HAZARD: "clear",
    Action.STOP: "stop",
}
_STRAIGHT = math.radians(10)


def side_of(step: Step) -> str:
    """Which side `step` is to, for the wearer."""
    if math.isnan(step.bearing):
        return "none"
    if abs(step.bearing) <= _STRAIGHT:
        return "ahead"
    if math.pi - abs(step.bearing) <= _STRAIGHT:
        return "behind"
    return "left" if step.bearing > 0 else "right"


def classify(answer: str) -> list[str]:
    """The kinds and sides that the parser finds, like ["move ahead", "turn left"]."""
    steps = parse(answer).steps
    sided = ("turn", "move", "locate", "hazard")
    found = [(KINDS.get(step.action, step.action.name.lower()), step) for step in steps]
    return [f"{kind} {side_of(step)}" if kind in sided else kind for kind, step in found]


def read_answers(folder: Path) -> dict[tuple[str, int], str]:
    """(file name, line number) -> answer, for every line that has one."""
    files = sorted(path for path in folder.glob("*.txt"))
    if not files:
        raise UserError(f"{folder} holds no .txt files; give the folder with the published question-and-answer files")
    answers: dict[tuple[str, int], str] = {}
    for path in files:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            _, mark, answer = line.partition(";A:")
            if mark and answer.strip():
                answers[path.name, number] = answer.strip()
    return answers


def read_labels(path: Path, answers: dict[tuple[str, int], str]) -> dict[tuple[str, int], list[str]]:
    """The labels, checked to be about answers that exist."""
    labels: dict[tuple[str, int], list[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        label = json.loads(line)
        key = label["file"], label["line"]
        if key not in answers:
            raise UserError(f"{path} labels {key[0]} line {key[1]}, where there is no answer")
        if key in labels:
            raise UserError(f"{path} labels {key[0]} line {key[1]} twice")
        labels[key] = label["steps"]
    return labels


def measure(answers: dict[tuple[str, int], str], labels: dict[tuple[str, int], list[str]]) -> dict[str, Any]:
    """The measured shares: labelled answers that are right, labelled steps found, all answers with any step."""
    found, expected = Counter[str](), Counter[str]()
    wrong = []
    for key, label in labels.items():
        steps = classify(answers[key])
        if steps != label:
            wrong.append({"file": key[0], "line": key[1], "label": label, "parsed": steps})
        expected.update(step.split()[0] for step in label)
        found.update(step.split()[0] for step in (Counter(steps) & Counter(label)).elements())
    understood = sum(any(step.split()[0] in KINDS.values() for step in classify(answer)) for answer in answers.values())
    return {
        **wilson(len(labels) - len(wrong), len(labels)).to_json(),
        "steps_found": {kind: wilson(found[kind], expected[kind]).to_json() for kind in sorted(expected)},
        "all_answers_with_a_step": wilson(understood, len(answers)).to_json(),
        "all_answers_understood_whole": wilson(
            sum(not parse(answer).unparsed for answer in answers.values()), len(answers)
        ).to_json(),
        "wrong": wrong,
    }


def _machine() -> dict[str, Any]:
    cpu = platform.processor()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [
            line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        cpu = names[0] if names else cpu
    return {"cpu": cpu, "cores": os.cpu_count()}


def _commit() -> str:
    done = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def main(arguments: list[str] | None = None) -> int:
    """Print the measured shares as one JSON object, and write them where --out says."""
    parser = argparse.ArgumentParser(description="measure the parser on people's own answers")
    parser.add_argument("folder", type=Path, metavar="DIR", help="the published question-and-answer files")
    parser.add_argument("--labels", type=Path, required=True, help="JSONL: file, line, steps")
    parser.add_argument("--note", default="", help="what a reader of the result must know; kept in it")
    parser.add_argument("--out", type=Path, help="write the result there too")
    args = parser.parse_args(arguments)
    try:
        answers = read_answers(args.folder)
        result = measure(answers, read_labels(args.labels, answers))
    except (UserError, OSError) as error:
        print(f"measure_parser: error: {error}", file=sys.stderr)
        return 2
    labels = args.labels.name if args.labels.is_absolute() else args.labels
    command = f"python tools/measure_parser.py DIR --labels {labels}"
    made = {"command": command, "commit": _commit(), "machine": _machine(), "note": args.note}
    report = json.dumps({**made, **result}, indent=2)
    print(report)
    if args.out:
        args.out.write_text(report + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
