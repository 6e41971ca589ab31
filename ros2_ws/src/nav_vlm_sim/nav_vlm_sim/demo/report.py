"""report.html: the demo as one page that needs nothing else, to look at, to listen to, or to read without pictures."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Sequence
from html import escape

from nav_vlm_node.instruction import Status
from nav_vlm_sim.demo import page
from nav_vlm_sim.demo.cases import direction_words
from nav_vlm_sim.demo.pictures import LEGEND, jpeg
from nav_vlm_sim.demo.records import Answered, Setting, summary_of
from nav_vlm_sim.demo.shapes import from_above, into_picture, told_of, way_of
from nav_vlm_sim.demo.svg import drawing, element
from nav_vlm_sim.demo.verdict import Mark

PLAN = 480  # units of the plan's drawing
SCALE = 1.5  # of the drawing over the photograph: its letters and lines have the size of the plan's


def report(answered: Sequence[Answered], setting: Setting) -> str:
    """The whole page."""
    body = "".join((_top(answered, setting), *(_question(one) for one in answered), _bottom(setting)))
    return page.document("nav_vlm demo", body)


# ---- top ---------------------------------------------------------------------------------------


def _top(answered: Sequence[Answered], setting: Setting) -> str:
    summary = summary_of(answered)
    tiles = [(f"{summary.marks[Mark.RIGHT]} of {summary.asked}", "answers right")]
    tiles += [(str(summary.marks[m]), m.value) for m in Mark if m is not Mark.RIGHT and summary.marks[m]]
    tiles.append((_seconds(summary.first_text), "until the first words"))
    tiles.append((_seconds(summary.total), "until the whole answer"))
    shown = "".join(f"<li><b>{escape(value)}</b> {escape(what)}</li>" for value, what in tiles if value)
    names = ("no.", "question", "what the wearer heard", "what a good guide says", "verdict")
    columns = "".join(f'<th scope="col">{name}</th>' for name in names)
    rows = "".join(_row(one) for one in answered)
    return f"""<header><h1>nav_vlm: what a wearer asked, and what they were told</h1>
<p>A simulated person wears a simulated camera in rooms that the model has never seen, and asks for the way.
The model <b>{escape(setting.model)}</b> with the adapter <b>{escape(setting.adapter or "none")}</b> answered over
ROS 2. Beside every answer stands the truth, which comes from the geometry of the room.</p>
<ul class="tiles">{shown}</ul></header>
<main><section aria-labelledby="all"><h2 id="all">All questions</h2>
<div class="scroll" role="region" aria-labelledby="all" tabindex="0"><table>
<thead><tr>{columns}</tr></thead><tbody>{rows}</tbody></table></div></section>
<section aria-labelledby="legend"><h2 id="legend">How to read the pictures</h2>{_legend()}</section>"""


def _row(one: Answered) -> str:
    spoken = one.spoken or "no answer"
    return (
        f'<tr><td>{one.number}</td><th scope="row"><a href="#q{one.number}">{escape(one.case.question.text)}</a></th>'
        f"<td>{escape(spoken)}</td><td>{escape(one.truth_text)}</td><td>{_mark(one)}</td></tr>"
    )


def _legend() -> str:
    entries = "".join(
        f'<li><svg class="key" viewBox="-2 0 40 24" aria-hidden="true">{element(shape)}</svg>{escape(text)}</li>'
        for shape, text in LEGEND
    )
    return f"""<ul class="legend">{entries}</ul>
<p>The plan beside each picture shows the place from above: the wearer at the dot, facing up.</p>
<label class="switch"><input type="checkbox" id="marks" checked> draw into the pictures</label>"""


# ---- a question --------------------------------------------------------------------------------


def _question(one: Answered) -> str:
    frame, truth, instruction = one.case.frame, one.case.truth, one.reply.instruction
    photo = base64.b64encode(jpeg(frame.raw)).decode()
    size = frame.camera.width * SCALE, frame.camera.height * SCALE
    overlay = drawing(into_picture(frame, truth, instruction, SCALE), *size, css="over")
    plan = drawing(from_above(frame, truth, instruction, PLAN), PLAN, PLAN, css="plan", title=_plan_words(one))
    return f"""<article id="q{one.number}" aria-labelledby="t{one.number}">
<p class="kicker">Question {one.number}: {escape(one.case.sort)}</p>
<h2 id="t{one.number}">{escape(one.case.question.text)}</h2>
<div class="pair"><figure><img src="data:image/jpeg;base64,{photo}" width="{frame.camera.width}"
height="{frame.camera.height}" alt="{escape(_photo_words(one))}">{overlay}</figure><figure>{plan}</figure></div>
{_words(one)}</article>"""


_ASKED = {"action": "action <code>guide</code>, watched while it was written", "topic": "topic <code>query</code>"}


def _words(one: Answered) -> str:
    instruction, reply = one.reply.instruction, one.reply
    spoken = one.spoken or "no answer came"
    pieces = escape(json.dumps([[round(seconds, 3), text] for seconds, text in reply.pieces]), quote=True)
    named = f'aria-label="Play answer {one.number}"'  # a screen reader lists buttons without what stands beside them
    button = f'<button hidden {named} data-pieces="{pieces}" data-say="{escape(one.spoken)}">Play</button>'
    play = button if one.spoken else ""
    rows = [("The wearer heard", f'<b class="spoken" aria-live="off">{escape(spoken)}</b> {play}')]
    if reply.written and reply.written.strip() != spoken:
        rows.append(("The model wrote", escape(reply.written)))
    rows.append(("A good guide says", escape(one.truth_text)))
    rows.append(("Verdict", f"{_mark(one)} {escape('; '.join(one.verdict.reasons))}"))
    rows.append(("Asked by", _ASKED[one.by]))
    rows.append(("Time", _times(one)))
    if instruction is not None and instruction.status is not Status.UNSURE:
        rows.append(("Confidence", f"{instruction.confidence:.2f}"))
    where = f"{one.case.frame.scene.room}, scene {one.case.frame.scene.seed}, view {one.case.frame.index}"
    rows.append(("Place", where))
    return "<dl>" + "".join(f"<dt>{what}</dt><dd>{told}</dd>" for what, told in rows) + "</dl>"


def _times(one: Answered) -> str:
    reply, age = one.reply, one.reply.instruction.image_age if one.reply.instruction else math.nan
    parts = []
    if not math.isnan(reply.first_text):
        parts.append(f"first words after {reply.first_text:.2f} s")
    if not math.isnan(reply.total):
        parts.append(f"whole answer after {reply.total:.2f} s")
    if not math.isnan(age):
        parts.append(f"the picture was then {age:.2f} s old")
    words = ", ".join(parts) or "no answer"
    if math.isnan(reply.first_text) or math.isnan(reply.total):
        return words
    share = 100 * min(1.0, reply.first_text / max(reply.total, 1e-6))
    return f'{words}<span class="bar" aria-hidden="true"><i style="width:{share:.1f}%"></i></span>'


def _mark(one: Answered) -> str:
    mark = one.verdict.mark
    return f'<span class="mark {mark.value}">{mark.value}</span>'


def _photo_words(one: Answered) -> str:
    """The picture for who cannot see it."""
    frame = one.case.frame
    seen = sorted((s for s in frame.observation.seen if s.visible), key=lambda s: s.distance)
    named = [f"{s.kind} {direction_words(s.bearing)} at {s.distance:.1f} metres" for s in seen]
    things = ", ".join(named) or "nothing with a name"
    return f"What the camera shows, a {frame.scene.room}. In view: {things}."


def _plan_words(one: Answered) -> str:
    """The drawing for who cannot see it."""
    bearing, distance = way_of(one.case.truth)
    told = told_of(one.reply.instruction)
    true = "There is no way to show." if math.isnan(bearing) else f"The true way: {_way(bearing, distance)}."
    answered = f"The answer's: {_way(told.direction, told.distance)}."
    if math.isnan(told.direction):
        answered = "The answer names no way."
    hazards = [f"{h.landmark} {_way(h.bearing, h.distance)}" for h in one.case.truth.hazards]
    named = [f"{step.landmark} {_way(step.bearing, step.distance)}" for step in told.cautions]
    on_way = f"Hazards: {', '.join(hazards)}." if hazards else "No hazard on the way."
    said = f"The answer names: {', '.join(named)}." if named else "The answer names no hazard."
    return f"Plan from above. {true} {answered} {on_way} {said}"


def _way(bearing: float, distance: float) -> str:
    return direction_words(bearing) + ("" if math.isnan(distance) else f", {distance:.1f} metres")


# ---- bottom ------------------------------------------------------------------------------------


def _bottom(setting: Setting) -> str:
    facts = (
        ("command", setting.command),
        ("model", f"{setting.model}, adapter {setting.adapter or 'none'}, on {setting.device}"),
        ("scenes", f"seed {setting.seed}; the same seed gives the same scenes and questions"),
        ("ROS 2", f"{setting.ros}, domain {setting.domain}; nodes nav_vlm, sim_camera and the client demo"),
        ("start", f"{setting.start_seconds:.1f} s until the node was ready"),
    )
    rows = "".join(f"<dt>{what}</dt><dd>{escape(text)}</dd>" for what, text in facts)
    return f"""</main><footer><h2>How this was made</h2><dl>{rows}</dl>
<p>The verdict is the same scorer's that measures the model: a direction is right within 15 degrees, a distance within
a quarter, a warning within 30 degrees and half the distance (at least 0.75 metres). "Partly" means that the way is
right and a warning or a distance is not. "Withheld" means that the guard let no direction out.</p>
<p>This is a simulation, and a few questions are no measurement. The model has only ever seen scenes of this kind. It
assists; it never replaces a cane, a dog, or training.</p></footer>"""


def _seconds(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.2f} s"
