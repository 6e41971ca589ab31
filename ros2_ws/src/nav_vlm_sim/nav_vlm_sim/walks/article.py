"""One walk on the page: what was asked and told, question by question, beside its map."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from html import escape

from nav_vlm_node.instruction import Status
from nav_vlm_sim.demo.cases import direction_words
from nav_vlm_sim.walks.episode import Stage, Turn
from nav_vlm_sim.walks.maps import walk_map
from nav_vlm_sim.walks.metrics import spl
from nav_vlm_sim.walks.picks import Kept
from nav_vlm_sim.walks.snapshots import SIZE

GOOD = (Status.OK.name, Status.NOT_VISIBLE.name, Status.SEARCHING.name)


def name_of(number: int, walk: Kept) -> str:
    """Like "Walk 3: model, class B, to the exit, arrived"."""
    episode = walk.episode
    end = "arrived" if episode.arrived else "not arrived"
    wrong = [f", {count(episode.touches.collisions, 'collision')}"] if episode.touches.collisions else []
    wrong += [f", {count(walk.reversals, 'reversal')}"] if walk.reversals else []
    return f"Walk {number}: {walk.guide}, class {episode.walk.kind}, to the {episode.walk.goal}, {end}{''.join(wrong)}"


def count(number: int, what: str, more: str = "s") -> str:
    """Like "1 question", "2 questions"."""
    return f"{number} {what}{more if number != 1 else ''}"


def article(number: int, walk: Kept, stage: Stage, photos: Mapping[int, bytes]) -> str:
    """photos: turn -> jpeg."""
    episode, touches = walk.episode, walk.episode.touches
    asked = len(episode.turns)
    turns = "".join(_turn(k, asked, turn, photos.get(k)) for k, turn in enumerate(episode.turns))
    facts = (
        f"{episode.plan}, walk {walk.number}, seed {episode.seed}. {episode.time:.0f} s, "
        f"{episode.length:.1f} m walked, {episode.shortest:.1f} m by the shortest safe path, SPL {spl(episode):.2f}; "
        f"{count(asked, 'question')}, {count(touches.collisions, 'collision')}, {count(touches.contacts, 'contact')}, "
        f"{count(touches.near_misses, 'near miss', 'es')}."
    )
    mark = '<span class="mark good">arrived</span>' if episode.arrived else '<span class="mark bad">not arrived</span>'
    return (
        f'<article class="walk" id="w{number}" aria-labelledby="t{number}" data-guide="{escape(walk.guide)}" '
        f'data-kind="{escape(episode.walk.kind)}" data-end="{"arrived" if episode.arrived else "lost"}">'
        f'<header><h3 id="t{number}">{escape(name_of(number, walk))}</h3>'
        f'<p class="faint">{mark} {escape(facts)}</p></header>'
        f'<ol class="turns">{turns}</ol><figure>{walk_map(stage, episode)}</figure></article>'
    )


def _turn(k: int, asked: int, turn: Turn, photo: bytes | None) -> str:
    lines = [
        ("Wanted", direction_words(turn.wanted) or "nothing: there, or no way is known from here"),
        ("Told", _told(turn)),
    ]
    shown = "".join(f"<dt>{what}</dt><dd>{said}</dd>" for what, said in lines)
    css = "good" if turn.status in GOOD else "half"
    wrong = '<span class="mark bad">reversal: to the other side</span>' if turn.reversal else ""
    return (
        f'<li class="turn">{_photo(k, photo)}<p class="spoken">{escape(turn.text)}</p>'
        f'<p class="faint"><span class="mark {css}">{escape(turn.status)}</span> {wrong} question {k + 1} of {asked}, '
        f"after {turn.time:.1f} s</p><dl>{shown}</dl></li>"
    )


def _told(turn: Turn) -> str:
    if turn.searching:
        return "to look or go elsewhere: a search, no direction to the goal"
    return direction_words(turn.direction) or "no direction"


def _photo(k: int, photo: bytes | None) -> str:
    if photo is None:
        return '<p class="blank">no picture of this question is kept: the walk is long</p>'
    source = f"data:image/jpeg;base64,{base64.b64encode(photo).decode('ascii')}"
    return (
        f'<figure><img alt="what the wearer\'s camera saw at question {k + 1}" width="{SIZE[0]}" height="{SIZE[1]}" '
        f'loading="lazy" src="{source}"></figure>'
    )
