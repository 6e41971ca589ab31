"""The figures of an evaluation for its page: a table and a plot, with 95 % intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

ROWS = (
    ("success_rate", "walks that arrive", "%"),
    ("spl", "SPL, success weighted by path length", ""),
    ("ndtw", "nDTW, nearness to the shortest path", ""),
    ("collisions_per_episode", "collisions per walk", ""),
    ("contacts_per_episode", "contacts per walk", ""),
    ("near_misses_per_episode", "near misses per walk", ""),
    ("reversal_rate", "reversals, of answers with a side", "%"),
    ("abstention_rate", "answers without a direction", "%"),
    ("search_rate", "answers that only search", "%"),
    ("instructions_per_metre", "questions per metre of the shortest path", ""),
    ("words_per_metre", "words per metre of the shortest path", ""),
    ("time_s", "seconds per walk", ""),
)
PLOTTED = (("success_rate", "share of walks that arrive"), ("spl", "SPL, success weighted by path length"))
MORE = (
    ("success_rate", "walks that arrive: {} more by", "%"),
    ("spl", "SPL: {} higher by", ""),
)
LEFT, PANEL, GAP, ROW, TOP = 110, 420, 40, 34, 44  # units of the plot


def table(guides: Mapping[str, Any], label: str) -> str:
    """A <table> with a column for each guide; label: what it shows."""
    head = "".join(f'<th scope="col">{escape(guide)}</th>' for guide in guides)
    walked = "".join(f"<td>{found['episodes']}</td>" for found in guides.values())
    rows = "".join(
        f'<tr><th scope="row">{name}</th>'
        + "".join(f"<td>{_cell(f[key], unit)}</td>" for f in guides.values())
        + "</tr>"
        for key, name, unit in ROWS
    )
    for key, name, unit in MORE if any("first_more" in found for found in guides.values()) else ():
        cells = "".join(
            f"<td>{_cell(f['first_more'][key], unit) if 'first_more' in f else ''}</td>" for f in guides.values()
        )
        rows += f'<tr><th scope="row">{escape(name.format(next(iter(guides))))}</th>{cells}</tr>'
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(label)}"><table>'
        f"<caption>{escape(label)}</caption><thead><tr><td></td>{head}</tr></thead>"
        f'<tbody><tr><th scope="row">walks</th>{walked}</tr>{rows}</tbody></table></div>'
    )


def _cell(figure: Mapping[str, Any], unit: str) -> str:
    if figure["value"] is None:
        return "–"
    value, low, high = (figure[key] for key in ("value", "low", "high"))
    if unit == "%":
        return f"<b>{100 * value:.1f} %</b> <small>({100 * low:.1f} to {100 * high:.1f})</small>"
    digits = 1 if abs(high) >= 10 else 2
    return f"<b>{value:.{digits}f}</b> <small>({low:.{digits}f} to {high:.{digits}f})</small>"


def plot(guides: Mapping[str, Any]) -> str:
    """An <svg>: success and SPL of every guide as a dot, with their intervals as lines."""
    names = list(guides)
    bottom = TOP + ROW * len(names)
    width = LEFT + 2 * PANEL + GAP + 20
    parts = [
        f'<text class="end" x="{LEFT - 14}" y="{TOP + ROW * (k + 0.5) + 5:.1f}">{escape(name)}</text>'
        for k, name in enumerate(names)
    ]
    for panel, (measure, title) in enumerate(PLOTTED):
        parts += _panel(LEFT + panel * (PANEL + GAP), bottom, title, [guides[name][measure] for name in names])
    return (
        f'<svg class="plot" viewBox="0 0 {width} {bottom + 34}" role="img" aria-label="success and SPL of every guide '
        f'with 95 % intervals; the table has the numbers">{"".join(parts)}</svg>'
    )


def _panel(left: int, bottom: int, title: str, figures: Sequence[Mapping[str, Any]]) -> list[str]:
    parts = [f'<text class="title" x="{left}" y="20">{escape(title)}</text>']
    for share in (0, 0.25, 0.5, 0.75, 1):
        x = left + PANEL * share
        parts.append(f'<line class="grid" x1="{x:.1f}" y1="{TOP - 8}" x2="{x:.1f}" y2="{bottom}"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 20}" text-anchor="middle">{share:g}</text>')
    for k, figure in enumerate(figures):
        if figure["value"] is None:
            continue
        y = TOP + ROW * (k + 0.5)
        low, value, high = (left + PANEL * min(max(figure[key], 0.0), 1.0) for key in ("low", "value", "high"))
        parts.append(f'<line class="spread" x1="{low:.1f}" y1="{y:.1f}" x2="{high:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<circle class="value" cx="{value:.1f}" cy="{y:.1f}" r="6"/>')
    return parts
