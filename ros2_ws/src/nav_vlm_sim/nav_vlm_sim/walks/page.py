"""walks.html: one file that loads nothing from anywhere, to leaf through the walks of an evaluation."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from pathlib import Path

from tqdm import tqdm

from nav_vlm_node.errors import UserError
from nav_vlm_sim.walks import charts, records
from nav_vlm_sim.walks.article import article, name_of
from nav_vlm_sim.walks.evaluate import COUNTED, EPISODES, Settings, Task
from nav_vlm_sim.walks.guides import MODEL
from nav_vlm_sim.walks.metrics import by_class
from nav_vlm_sim.walks.page_style import SCRIPT, STYLE
from nav_vlm_sim.walks.painter import Painter
from nav_vlm_sim.walks.picks import PICTURES, Kept, kept, picked
from nav_vlm_sim.walks.snapshots import check, people_missing, snapshots, stage_of

PAGE = "walks.html"


def write_page(out: Path, settings: Settings, tasks: Iterable[Task], *, quiet: bool = False) -> Path:
    """Writes out/walks.html about those of an evaluation's tasks that `out` holds, and gives its path.

    `out` may hold more walks, of other calls. Of more walks than a page can show it shows those that `picks.picked`
    names; its figures are of all. Raises UserError where there are none, and OSError where the page cannot be written:
    an older one is then still whole.
    """
    keys = {task.key for task in tasks}
    found = {key: episode for key, episode in records.read(out / EPISODES).items() if key in keys}
    walks = kept(found, settings.guides)
    if not walks:
        raise UserError(f"{out} holds no walks of {', '.join(settings.guides)}; run `nav-vlm-sim evaluate` first")
    path, draft = out / PAGE, out / f".{PAGE}.draft"
    try:
        with draft.open("w", encoding="utf-8") as file:
            for part in _parts(walks, settings, quiet=quiet):
                file.write(part)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    return path


def _parts(walks: Sequence[Kept], settings: Settings, *, quiet: bool) -> Iterator[str]:
    chosen = picked(walks)
    yield (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>nav_vlm: walks</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{STYLE}</style></head><body>'
    )
    yield _top(walks, settings)
    yield _leafing(walks, chosen)
    articles, unknown = _articles(chosen, settings, quiet=quiet)
    yield from articles
    yield f"</main>{_notes(settings, unknown)}<script>{SCRIPT}</script></body></html>\n"


def _articles(chosen: Sequence[Kept], settings: Settings, *, quiet: bool) -> tuple[list[str], int]:
    """The articles in the given order, drawn building by building; and in how many people were not recorded."""
    found: dict[int, str] = {}
    unknown = 0
    order = sorted(range(len(chosen)), key=lambda number: chosen[number].plan)
    with Painter() as painter:
        stage, plan = None, ""
        for number in tqdm(order, unit="walk", desc="page", disable=quiet):
            walk = chosen[number]
            if stage is None or walk.plan != plan:
                stage, plan = stage_of(walk, by_hand=bool(settings.plans), painter=painter), walk.plan
            check(stage, walk)
            found[number] = article(number + 1, walk, stage, snapshots(stage, walk.episode, PICTURES // len(chosen)))
            unknown += people_missing(stage, walk.episode)
    return [found[number] for number in range(len(chosen))], unknown


# ---- around the walks --------------------------------------------------------------------------


def _top(walks: Sequence[Kept], settings: Settings) -> str:
    episodes = {guide: [walk.episode for walk in walks if walk.guide == guide] for guide in settings.guides}
    figures = by_class(episodes, COUNTED)
    together = charts.table(figures, "Classes A and B together, with 95 % intervals")
    kinds = sorted({walk.episode.walk.kind for walk in walks})
    alone = "".join(
        charts.table({g: f["classes"][kind] for g, f in figures.items() if kind in f["classes"]}, f"Class {kind}")
        for kind in kinds
    )
    return f"""<h1>Walks: does who obeys the instructions arrive?</h1>
<p>A simulated person with a cane asks for the way, hears an instruction, obeys it as people do, and asks again.
Class A: the goal is in view; B: signs, arrows and open doors tell the way; C: neither does.
{escape(_walked(settings))}</p>
<h2>Figures</h2>{together}{charts.plot(figures)}
<details><summary>Each class alone</summary>{alone}</details>"""


def _walked(settings: Settings) -> str:
    """Where, who, and how late their answers are."""
    where = f"Plans of seed {settings.seed}"
    if settings.plans:
        where = f"Plans by hand ({', '.join(Path(plan).name for plan in settings.plans)}), seed {settings.seed}"
    late = "who stands and waits for each answer"
    if settings.latency is not None:
        late = f"who walks on slowly, and hears each answer {settings.latency:g} s late"
    return f"{where}; {settings.manner} walker, {late}."


def _leafing(walks: Sequence[Kept], chosen: Sequence[Kept]) -> str:
    bad = sum(walk.bad < 3 for walk in walks)
    shown_bad = sum(walk.bad < 3 for walk in chosen)
    filters = _filter("guide", "guide", dict.fromkeys(walk.guide for walk in chosen))
    filters += _filter("kind", "class", sorted({walk.episode.walk.kind for walk in chosen}))
    filters += _filter("end", "outcome", sorted({"arrived" if walk.episode.arrived else "lost" for walk in chosen}))
    listed = "".join(
        f'<li><a href="#w{number}">{escape(name_of(number, walk))}</a></li>' for number, walk in enumerate(chosen, 1)
    )
    return f"""<main><h2>The walks</h2>
<p>{len(chosen)} of {len(walks)} walks: {shown_bad} of the {bad} in which something went wrong (not arrived, a
collision, a reversal), which come first, and others of every guide and class.</p>
<nav hidden aria-label="leaf through the walks"><div>{filters}</div>
<div><button id="walk-back">Previous walk</button><button id="walk-on">Next walk</button>
<button id="turn-back">Previous question</button><button id="turn-on">Next question</button>
<small>keys: left and right for questions, with shift for walks</small></div>
<p id="where" role="status" aria-live="polite"></p></nav>
{_LEGEND}<p class="faint">Wanted: the bearing of the farthest point of the shortest safe path that no wall hides.
Told: the direction that the instruction gives. A reversal sends to the other side of what is wanted.</p>
<details><summary>List of the walks</summary><ol class="list">{listed}</ol></details>"""


def _filter(name: str, label: str, values: dict[str, None] | Sequence[str]) -> str:
    options = "".join(f'<option value="{escape(value)}">{escape(value)}</option>' for value in values)
    return f'<label>{label} <select name="{name}"><option value="">all</option>{options}</select></label>'


def _key(shape: str, text: str) -> str:
    return f'<li><svg class="map key" viewBox="0 0 46 22" aria-hidden="true">{shape}</svg>{text}</li>'


_LEGEND = (
    '<ul class="legend" aria-label="what the map shows">'
    + _key('<polyline class="walked" points="3,11 43,11"/>', "walked")
    + _key('<polyline class="shortest" points="3,11 43,11"/>', "shortest safe path")
    + _key('<g class="ask now"><line x1="16" y1="11" x2="32" y2="11"/><circle cx="16" cy="11" r="5"/></g>', "question")
    + _key('<g class="ask wrong"><line x1="16" y1="11" x2="32" y2="11"/><circle cx="16" cy="11" r="5"/></g>',
           "question answered with a reversal")
    + _key('<g class="ask now"><path class="told" d="M3 11L42 11M33 5L42 11L33 17"/></g>', "told")
    + _key('<g class="ask now"><path class="wanted" d="M3 11L42 11M33 5L42 11L33 17"/></g>', "wanted")
    + _key('<g class="ask now"><circle class="person" cx="23" cy="11" r="8"/></g>', "person")
    + _key('<circle class="end good" cx="23" cy="11" r="8"/>', "arrived")
    + _key('<path class="end bad" d="M16 4l14 14m0 -14l-14 14"/>', "gave up")
    + "</ul>"
)  # fmt: skip


def _notes(settings: Settings, unknown: int) -> str:
    model = Path(settings.model).name if settings.model else "the embedded model"
    notes = [
        "The pictures are drawn again, smaller, from where the wearer stood; only the guides that look "
        "(model, base, shuffled) looked at a picture, and shuffled was shown one of another building instead.",
        "The map shows the way every half second.",
        f"Guide {MODEL}: {model}, adapter {Path(settings.adapter).name or 'none'}.",
    ]
    if unknown:
        notes.append(
            f"In {unknown} of the walks it was not recorded where the people who move were: they stand at their start."
        )
    return "<footer><h2>Notes</h2><ul>" + "".join(f"<li>{escape(note)}</li>" for note in notes) + "</ul></footer>"
