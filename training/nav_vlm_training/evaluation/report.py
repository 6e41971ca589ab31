"""What an evaluation found, for people: report.md, and report.html in one file with the worst answers first."""

from __future__ import annotations

import base64
import html
import json
import os
import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nav_vlm_node import results
from nav_vlm_node.score import MEASURES
from nav_vlm_training.evaluation.drawing import annotated, confusion_plot, jpeg
from nav_vlm_training.evaluation.evaluate import Evaluation
from nav_vlm_training.evaluation.judging import Judged

WORST, DRAWN = 48, 12
SYSTEMS = {
    "base": "base, its descriptions parsed",
    "few_shot": "base after four solved questions",
    "constant": "one answer to everything",
    "question_only": "the question alone",
    "retrieval": "the most alike picture's answer",
    "shuffled": "another scene's picture",
}


def write_report(evaluation: Evaluation, out: Path) -> None:
    """Writes report.json, report.md, report.html and directions.png to `out`. Raises OSError, UserError."""
    figures = evaluation.figures
    results.write(out / "report.json", figures)
    plot = confusion_plot(figures["directions"])
    _write(out / "directions.png", plot)
    _write(out / "report.md", markdown(figures, worst(evaluation.judged)).encode())
    _write(out / "report.html", page(evaluation, plot).encode())


def _write(path: Path, data: bytes) -> None:
    """The file is there whole or not at all."""
    draft = path.with_name(f".{path.name}.draft")
    try:
        draft.write_bytes(data)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def worst(judged: Iterable[Judged], most: int = WORST) -> list[Judged]:
    """Wrong answers, the most harmful first; one per picture and thing asked for."""
    wrong = sorted((one for one in judged if not one.right), key=lambda one: -one.outcome.badness)
    seen: dict[tuple[str, str], Judged] = {}
    for one in wrong:
        seen.setdefault((one.sample.image, one.sample.truth.target), one)
    return list(seen.values())[:most]


def share(figure: Mapping[str, Any] | None) -> str:
    """As 93.1 % (92.0 to 94.1); a dash where nothing was counted."""
    if not figure or figure.get("value") is None:
        return "–"
    value, low, high = (100 * float(figure[key]) for key in ("value", "low", "high"))
    return f"{value:.1f} % ({low:.1f} to {high:.1f})"


def system_rows(figures: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Heads and rows of the table of measures: the model, then each baseline."""
    beside = figures["baselines"]
    heads = ["measure", "n", "with adapter" if figures["adapter"] else "model", *(SYSTEMS[name] for name in beside)]
    rows = [
        [name, str(figures[name]["n"]), share(figures[name]), *(share(beside[system].get(name)) for system in beside)]
        for name in (*MEASURES, *TEXT_MEASURES)
        if name in figures
    ]
    return heads, rows


def difference_rows(figures: Mapping[str, Any]) -> list[list[str]]:
    """Rows of the table of what new words, textures and rooms cost in direction accuracy."""
    return [
        [
            name, share(found["train"]), share(found["heldout"]),
            f"{found['points']:+.1f} ({found['low']:+.1f} to {found['high']:+.1f})",
        ]
        for name, found in figures["differences"].items()
    ]  # fmt: skip


def group_rows(figures: Mapping[str, Any]) -> list[list[str]]:
    """Rows of the table of the main measures by group."""
    return [
        [f"{kind}: {value or '(none)'}", str(part["n"]), *(share(part[name]) for name in GROUP_MEASURES)]
        for kind, parts in figures["groups"].items()
        for value, part in parts.items()
    ]


TEXT_MEASURES = ("bertscore_f1", "enhanced_bertscore_paper", "enhanced_bertscore_strict")  # where they were asked for
GROUP_MEASURES = ("direction_accuracy", "reversal_rate", "visibility_accuracy", "hazard_recall", "distance_within_25")
DIFFERENCE_HEADS = ["new", "familiar", "held out", "difference in points"]


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(_one_line(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def _one_line(text: str) -> str:
    """Without line breaks and control characters, which an untrained model may well write."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _title(figures: Mapping[str, Any]) -> str:
    return figures["model"] + (f" + {figures['adapter']}" if figures["adapter"] else "")


def _summary(figures: Mapping[str, Any]) -> str:
    data = figures["data"]
    return (
        f"{figures['n']} questions about {data['images']} pictures of {data['scenes']} scenes"
        f" ({data['name']}: {', '.join(data['splits'])}), {data['visible_off_centre']} of them about visible things at"
        f" least 15 degrees off centre. Shares with their 95 % intervals."
    )


def markdown(figures: Mapping[str, Any], bad: Sequence[Judged]) -> str:
    """report.md."""
    heads, rows = system_rows(figures)
    parts = [f"# {_title(figures)}", _summary(figures), table(heads, rows)]
    if figures["differences"]:
        parts += [
            "## New words, textures, rooms (direction_accuracy)",
            table(DIFFERENCE_HEADS, difference_rows(figures)),
        ]
    parts += ["## By group", table(["group", "n", *GROUP_MEASURES], group_rows(figures))]
    parts += ["## Directions", "![answered against true directions](directions.png)"]
    parts += ["## What the measures count", "\n".join(f"- **{name}**: {text}" for name, (text, _) in MEASURES.items())]
    rows = [[s.sample.question, s.sample.text, s.text, _faults(s), f"{s.sample.image}"] for s in bad]
    if rows:
        parts += ["## The worst answers", table(["question", "right", "answered", "what is wrong", "picture"], rows)]
    parts += ["## How this was measured", "```json\n" + json.dumps(_provenance(figures), indent=1) + "\n```"]
    return "\n\n".join(parts) + "\n"


def page(evaluation: Evaluation, plot: bytes) -> str:
    """report.html: nothing outside the file is needed to look at it."""
    figures = evaluation.figures
    heads, rows = system_rows(figures)
    bad = worst(evaluation.judged)
    drawn = random.Random(0).sample(evaluation.judged, min(DRAWN, len(evaluation.judged)))
    tiles = "".join(
        f'<div class="tile"><b>{html.escape(share(figures[name]).split(" (")[0])}</b><span>{name}</span></div>'
        for name in (*GROUP_MEASURES, "landmark_f1")
    )
    sections = [
        f"<h1>{html.escape(_title(figures))}</h1><p>{html.escape(_summary(figures))}</p>",
        f'<div class="tiles">{tiles}</div>',
        _html_table(heads, rows),
    ]
    if figures["differences"]:
        sections += ["<h2>New words, textures, rooms</h2>", _html_table(DIFFERENCE_HEADS, difference_rows(figures))]
    sections += [
        "<h2>Directions</h2>",
        f'<img class="plot" alt="answered against true directions" src="data:image/png;base64,{_base64(plot)}">',
    ]
    legend = (
        "<p>Green: where it is. Red: where the answer leads. Yellow: what is in the way. The pictures are upright and"
        " level, 100 degrees wide, as the model sees them.</p>"
    )
    if bad:
        sections += [f"<h2>The worst {len(bad)} answers</h2>{legend}", _cards(evaluation, bad)]
    sections += [f"<h2>{len(drawn)} answers drawn at random</h2>", "" if bad else legend, _cards(evaluation, drawn)]
    sections += [
        "<h2>By group</h2>",
        _html_table(["group", "n", *GROUP_MEASURES], group_rows(figures)),
        "<h2>What the measures count</h2><ul>",
        "".join(f"<li><b>{name}</b>: {html.escape(text)}</li>" for name, (text, _) in MEASURES.items()),
        "</ul><h2>How this was measured</h2>",
        f"<pre>{html.escape(json.dumps(_provenance(figures), indent=1))}</pre>",
    ]
    title = html.escape(_title(figures))
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>{STYLE}</style><main>{''.join(sections)}</main></html>\n"
    )


def _faults(one: Judged) -> str:
    """What is wrong with an answer, in a few words."""
    hits = one.outcome.hits
    faults = {
        "reversal_rate": "wrong side", "false_clear_rate": "hazard not called", "false_alarm_rate": "called a hazard",
    }  # fmt: skip
    words = [text for name, text in faults.items() if hits.get(name)]
    misses = {
        "direction_accuracy": "direction", "visibility_accuracy": "in view or not", "hazard_recall": "hazard's place",
        "distance_within_25": "distance", "unknown_no_direction": "a direction to an unknown place",
    }  # fmt: skip
    words += [text for name, text in misses.items() if not hits.get(name, True)]
    return ", ".join(words + ([f"kept back: {one.why}"] if one.why else []))


def _cards(evaluation: Evaluation, some: Iterable[Judged]) -> str:
    cards = []
    for one in some:
        picture = _base64(jpeg(annotated(evaluation.folder, one)))
        faults = _faults(one)
        cards.append(
            f'<figure class="{"right" if one.right else "wrong"}"><img alt="" src="data:image/jpeg;base64,{picture}">'
            f"<figcaption><q>{html.escape(one.sample.question)}</q>"
            f'<p class="said">{html.escape(_one_line(one.text)) or "(nothing)"}</p>'
            f'<p class="true">{html.escape(one.sample.text)}</p>'
            f'<p class="why">{html.escape(faults or "right")}</p>'
            f"<small>{html.escape(f'{one.sample.split}, {one.sample.room}, {one.sample.image}')}</small>"
            "</figcaption></figure>"
        )
    return f'<div class="cards">{"".join(cards)}</div>'


def _html_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in heads)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _provenance(figures: Mapping[str, Any]) -> dict[str, Any]:
    names = ("command", "commit", "date", "machine", "versions", "seeds", "model_sha256", "adapter_sha256", "data")
    more = ("device", "dtype", "answers_per_s")
    return {name: figures[name] for name in (*names, *more) if name in figures}


STYLE = """
:root { color-scheme: light; font: 15px/1.5 system-ui, sans-serif; color: #1d2430; background: #f5f6f8; }
main { max-width: 1180px; margin: 0 auto; padding: 1.2rem; }
h1 { font-size: 1.7rem; margin: .4rem 0; } h2 { margin-top: 2.2rem; }
table { border-collapse: collapse; background: #fff; font-size: .9rem; }
th, td { padding: .35rem .7rem; border: 1px solid #dfe3e8; text-align: left; } th { background: #eef1f5; }
td:not(:first-child) { font-variant-numeric: tabular-nums; } .wide { overflow-x: auto; margin: .8rem 0; }
.tiles { display: flex; flex-wrap: wrap; gap: .7rem; margin: 1rem 0; }
.tile { background: #fff; border: 1px solid #dfe3e8; border-radius: 8px; padding: .6rem 1rem; }
.tile b { display: block; font-size: 1.5rem; } .tile span { color: #5b6675; font-size: .85rem; }
.plot { max-width: 100%; background: #fff; border: 1px solid #dfe3e8; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(270px, 1fr)); gap: 1rem; }
figure { margin: 0; background: #fff; border: 1px solid #dfe3e8; border-top: 4px solid #2e9e5b; border-radius: 6px; }
figure.wrong { border-top-color: #d4372c; } figure img { width: 100%; display: block; }
figcaption { padding: .5rem .8rem .8rem; } figcaption p { margin: .3rem 0; } q { font-weight: 600; }
.said::before { content: "answered: "; color: #d4372c; } .true::before { content: "right: "; color: #1f7a45; }
.right .said::before { color: #1f7a45; } .why { color: #5b6675; font-style: italic; } small { color: #5b6675; }
pre { background: #fff; border: 1px solid #dfe3e8; padding: .8rem; overflow-x: auto; font-size: .8rem; }
"""
