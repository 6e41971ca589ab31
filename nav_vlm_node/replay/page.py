"""report.html: one file that loads nothing from anywhere; answers that differ come first."""

from __future__ import annotations

import base64
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from nav_vlm_node.errors import UserError
from nav_vlm_node.guide import GuideOptions
from nav_vlm_node.instruction import Instruction
from nav_vlm_node.replay.answering import Frames
from nav_vlm_node.replay.contents import NANOSECONDS, Contents
from nav_vlm_node.replay.drawing import Canvas, jpeg, upright
from nav_vlm_node.replay.figures import Row
from nav_vlm_node.replay.plots import mark_of, scrolling, spread_plot, timeline
from nav_vlm_node.replay.style import STYLE
from nav_vlm_node.score import MEASURES

PICTURED = 120  # cards with a picture; the others are in the list


def write_page(
    path: Path,
    report: Mapping[str, Any],
    rows: Sequence[Row],
    contents: Contents,
    frames: Frames,
    options: GuideOptions,
) -> None:
    """Card by card to the disk: pictures of a long bag are never in memory together. Raises OSError."""
    draft = path.with_name(f".{path.name}.draft")
    try:
        with draft.open("w", encoding="utf-8", errors="replace") as file:
            for part in _parts(report, rows, contents, frames, options):
                file.write(part)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def _parts(
    report: Mapping[str, Any], rows: Sequence[Row], contents: Contents, frames: Frames, options: GuideOptions
) -> Iterable[str]:
    title = escape(f"Replay of {report['bag']}")
    yield (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{STYLE}</style></head><body><main>'
    )
    yield _head(report, title)
    yield f"<h2>When</h2>{timeline(rows, contents)}"
    yield _measured(report)
    order = sorted(range(len(rows)), key=lambda number: not rows[number].differs)
    differing = sum(row.differs for row in rows)
    yield f"<h2>Questions</h2>{_legend(report)}"
    if differing:
        yield f"<p>{differing} of {len(rows)} answers differ in their steps; they come first.</p>"
    for number in order[:PICTURED]:
        yield _card(number, rows[number], report, contents, frames, options)
    if order[PICTURED:]:
        yield f"<h2>{len(order) - PICTURED} more, without pictures</h2>"
        yield from (_card(number, rows[number], report, contents, None, options) for number in order[PICTURED:])
    yield f"<h2>Spread</h2><h3>Latency</h3>{_latencies(report, rows)}"
    ages = [("answer", "when the image was looked at", [row.item.look.age for row in rows])]
    live = [row.live.image_age for row in rows if row.live is not None]
    ages += [("live", "live, when the answer was given", live)] if live else []
    yield f"<h3>Age of the images</h3>{spread_plot(ages, 's', float(report['parameters']['max_image_age']))}"
    kept = ("command", "commit", "date", "machine", "versions", "device", "dtype", "images", "topics", "parameters")
    facts = {name: report[name] for name in kept if name in report}
    made = escape(json.dumps(facts, indent=1))
    yield f'<h2>How this was made</h2><pre tabindex="0">{made}</pre></main></body></html>\n'


def _head(report: Mapping[str, Any], title: str) -> str:
    images = report["images"]
    rate = f" at {images['rate_hz']:.1f} Hz" if images["rate_hz"] else ""
    words = (
        f"{report['duration_s']:.1f} s, {images['count']} images{rate}"
        f"{' on ' + images['topic'] if images['topic'] else ''}. Answered by {report['model']}"
    )
    words += f", beside {report['against_model']}." if "against_model" in report else "."
    tiles = [(str(report["queries"]), "questions"), (str(report["answered"]), "answered")]
    tiles += [(str(count), name) for name, count in report["status"].items()]
    age, latency = report["image_age_s"]["p95"], report["latency_s"]["p95"]
    tiles += [(_seconds(age), "age of the image, p95"), (_seconds(latency), "latency, p95")]
    if "live" in report:
        tiles.append((_share(report["live"]["equal_steps"]), "same steps as live"))
    if "against" in report:
        tiles.append((_share(report["against"]["agreement"]["equal_steps"]), "same steps by both"))
    boxes = "".join(f"<li><b>{escape(value)}</b>{escape(name)}</li>" for value, name in tiles)
    notes = "".join(f"<li>{escape(note)}</li>" for note in report["notes"])
    warning = f'<ul class="notes">{notes}</ul>' if notes else ""
    return f'<h1>{title}</h1><p>{escape(words)}</p>{warning}<ul class="tiles">{boxes}</ul>'


def _measured(report: Mapping[str, Any]) -> str:
    """The metrics, the two models side by side."""
    sides = [(report["model"], report)]
    if "against" in report:
        sides.append((report["against_model"], report["against"]))
    lines = [("coverage: answered with a direction", [_interval(side["metrics"]["coverage"]) for _, side in sides])]
    for name in MEASURES:
        found = [side["metrics"].get("reference", {}).get(name) for _, side in sides]
        if any(each and each["value"] is not None for each in found):
            lines.append((name, [_interval(each) for each in found]))
    lines.append(("words an answer, median", [_number(side["metrics"]["words"]["p50"]) for _, side in sides]))
    lines.append(("latency, p50 and p95", [_pair(side["latency_s"]) for _, side in sides]))
    if "live" in report:
        lines.append(("equal to the answer in the bag", [_interval(report["live"]["equal_answer"])]))
    head = "<td></td>" + "".join(f'<th scope="col">{escape(name)}</th>' for name, _ in sides)
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in cells)}</tr>'
        for name, cells in lines
    )
    table = scrolling("Measured", f"<table><tr>{head}</tr>{body}</table>")
    return f"<h2>Measured</h2>{table}"


def _legend(report: Mapping[str, Any]) -> str:
    keys = [("answer", report["model"])]
    keys += [("against", report["against_model"])] if "against_model" in report else []
    keys += [("live", "live, in the bag")] if "live" in report else []
    keys.append(("truth", "reference"))
    items = "".join(f'<li class="{name}"><i></i>{escape(text)}</li>' for name, text in keys)
    return f'<ul class="legend">{items}</ul>'


def _card(
    number: int,
    row: Row,
    report: Mapping[str, Any],
    contents: Contents,
    frames: Frames | None,
    options: GuideOptions,
) -> str:
    question, look = row.item.question, row.item.look
    seconds = (question.time - contents.start) / NANOSECONDS
    age = "" if math.isnan(look.age) else f", image {1000 * look.age:.0f} ms old"
    named = ", the image that was looked at live" if look.by_stamp else ""
    lines = [_line("answer", report["model"], row.answer)]
    if row.against is not None:
        lines.append(_line("against", report["against_model"], row.against))
    if row.live is not None:
        lines.append(_line("live", "live", row.live))
    if question.truth is not None and question.truth.steps:
        from nav_vlm_node.language import render_canonical

        lines.append(_said("truth", "reference", render_canonical(question.truth.steps), ""))
    outcome = row.outcome(row.answer)
    wrong = [name for name, hit in (outcome.hits if outcome else {}).items() if hit == name.endswith("_rate")]
    faults = f'<p class="faint">against the reference: {escape(", ".join(wrong))}</p>' if wrong else ""
    differs = '<span class="mark half">differs</span>' if row.differs else ""
    return (
        f'<article id="q{number}"{" class=differs" if row.differs else ""}>{_picture(row, frames, options)}<div>'
        f'<p class="faint">{seconds:.2f} s{age}{named} {differs}</p><h3>{escape(question.text[:300])}</h3>'
        f"<dl>{''.join(lines)}</dl>{faults}</div></article>"
    )


def _picture(row: Row, frames: Frames | None, options: GuideOptions) -> str:
    look = row.item.look
    if look.position is None:
        return '<p class="blank">no image</p>'
    if frames is None:
        return '<p class="blank">not shown</p>'
    try:
        frame = frames.frame(look.position, look.time)
    except UserError as error:
        return f'<p class="blank">{escape(str(error))}</p>'
    canvas = Canvas(frame, options.rig, options.hfov)
    truth = row.item.question.truth
    layers = [("truth", truth.steps)] if truth is not None else []
    layers += [("against", row.against.steps)] if row.against is not None else []
    layers.append(("answer", row.answer.steps))
    data, width, height = jpeg(upright(frame.image, options.rig))
    source = f"data:image/jpeg;base64,{base64.b64encode(data).decode('ascii')}"
    size = f'width="{width}" height="{height}"'
    image = f'<img alt="what the camera saw; the answers are drawn into it" {size} src="{source}">'
    return f"<figure>{image}{canvas.svg(layers)}</figure>"


def _line(name: str, title: str, answer: Instruction) -> str:
    status = f'<span class="mark {mark_of(answer.status)}">{answer.status.name}</span>'
    return _said(name, title, answer.text, status, answer.message)


def _said(name: str, title: str, text: str, status: str, message: str = "") -> str:
    why = f'<p class="faint">{escape(message[:300])}</p>' if message else ""
    return f'<dt class="{name}">{escape(title)}</dt><dd>{status} {escape(text) or "(silence)"}{why}</dd>'


def _latencies(report: Mapping[str, Any], rows: Sequence[Row]) -> str:
    series = [("answer", report["model"], [row.answer.latency for row in rows])]
    if "against_model" in report:
        others = [row.against.latency for row in rows if row.against is not None]
        series.append(("against", report["against_model"], others))
    live = [row.live.latency for row in rows if row.live is not None]
    series += [("live", "live, in the bag", live)] if live else []
    return spread_plot(series, "s")


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{1000 * value:.0f} ms" if value < 1 else f"{value:.2f} s"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:g}"


def _pair(spread: Mapping[str, float | None]) -> str:
    return f"{_seconds(spread['p50'])}, {_seconds(spread['p95'])}"


def _share(figure: Mapping[str, Any]) -> str:
    return "–" if figure["value"] is None else f"{round(figure['value'] * figure['n'])} of {figure['n']}"


def _interval(figure: Mapping[str, Any] | None) -> str:
    """As 93.1 % (92.0 to 94.1) of 20."""
    if not figure or figure["value"] is None:
        return "–"
    value, low, high = (100 * float(figure[key]) for key in ("value", "low", "high"))
    return f"{value:.1f} % ({low:.1f} to {high:.1f}) of {figure['n']}"
