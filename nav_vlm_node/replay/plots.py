"""Plots of the report as SVG: the timeline, and how values are spread."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import numpy as np

from nav_vlm_node.instruction import Status
from nav_vlm_node.replay.contents import NANOSECONDS, Contents
from nav_vlm_node.replay.figures import Row

WIDE, LEFT, RIGHT = 1100, 90, 20


def ticks(low: float, high: float, most: int = 8) -> list[float]:
    """Round numbers from `low` to `high`, at most about `most`."""
    span = high - low
    if not math.isfinite(span) or span <= 0:
        return [low]
    rough = span / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [n * step for n in range(first, math.floor(high / step + 1e-9) + 1)]


def mark_of(status: Status) -> str:
    """The style of a status: good, half (an honest refusal), bad."""
    if status in (Status.OK, Status.NOT_VISIBLE, Status.SEARCHING):
        return "good"
    return "half" if status in (Status.UNSURE, Status.POOR_IMAGE, Status.INVALID_QUERY) else "bad"


def timeline(rows: Sequence[Row], contents: Contents) -> str:
    """How many images came when, and above it the questions, each leading to its card."""
    start, seconds = contents.start, max((contents.stop - contents.start) / NANOSECONDS, 1e-3)
    across = WIDE - LEFT - RIGHT

    def x(time: int) -> float:
        return LEFT + across * min(max((time - start) / NANOSECONDS / seconds, 0.0), 1.0)

    parts = [_axis(0.0, seconds, lambda value: LEFT + across * value / seconds, 150, "s from the bag's start")]
    bins = min(200, max(1, len(contents.times) // 5))  # with fewer in each a steady camera seems to have gaps
    counts = np.histogram((np.array(contents.times, np.int64) - start) / NANOSECONDS, bins, (0.0, seconds))[0]
    highest = max(int(counts.max()), 1)
    for at, count in enumerate(counts):
        if count:
            tall = 50 * count / highest
            parts.append(
                f'<rect class="bar" x="{LEFT + across * at / bins:.1f}" y="{150 - tall:.1f}" '
                f'width="{across / bins:.2f}" height="{tall:.1f}"/>'
            )
    parts.append(f'<text x="{LEFT - 8}" y="140" class="end">images</text>')
    parts.append(f'<text x="{LEFT - 8}" y="60" class="end">questions</text>')
    for number, row in enumerate(rows):
        place, mark = x(row.item.question.time), mark_of(row.answer.status)
        title = escape(f"{row.item.question.text} {row.answer.status.name}{', differs' if row.differs else ''}")
        ring = f'<circle class="differs" cx="{place:.1f}" cy="55" r="10"/>' if row.differs else ""
        parts.append(
            f'<a href="#q{number}"><title>{title}</title><line class="{mark}" x1="{place:.1f}" y1="55" '
            f'x2="{place:.1f}" y2="96"/><circle class="{mark}" cx="{place:.1f}" cy="55" r="6"/>{ring}</a>'
        )
    return _svg(200, "when images came and questions were asked", parts, role="group")


def spread_plot(series: Sequence[tuple[str, str, Sequence[float]]], unit: str, limit: float | None = None) -> str:
    """Share of the answers at or below each value: (class, name, values) each. limit: a line."""
    known = [(name, title, sorted(v for v in values if math.isfinite(v))) for name, title, values in series]
    known = [one for one in known if one[2]]
    if not known:
        return '<p class="faint">nothing was measured</p>'
    high = 1.05 * max([0.001, *(one[2][-1] for one in known), *([limit] if limit else [])])
    low = min(0.0, *(one[2][0] for one in known))
    across, top = WIDE - LEFT - RIGHT, 12 + 20 * len(known)  # below the curves' names
    bottom = top + 180

    def x(value: float) -> float:
        return LEFT + across * (value - low) / (high - low)

    parts = [_axis(low, high, x, bottom, unit)]
    for share in (0, 0.5, 0.95):
        y = bottom - (bottom - top) * share
        parts.append(f'<line class="grid" x1="{LEFT}" y1="{y:.1f}" x2="{WIDE - RIGHT}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 5:.1f}" class="end">{100 * share:.0f} %</text>')
    if limit is not None:
        parts.append(f'<line class="limit" x1="{x(limit):.1f}" y1="{top}" x2="{x(limit):.1f}" y2="{bottom}"/>')
    for number, (name, title, values) in enumerate(known):
        points, n = [(x(values[0]), float(bottom))], len(values)
        for rank, value in enumerate(values, 1):
            points.append((x(value), points[-1][1]))
            points.append((x(value), bottom - (bottom - top) * rank / n))
        points.append((x(high), points[-1][1]))
        line = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
        parts.append(f'<polyline class="curve {name}" points="{line}"/>')
        label = f'<text class="{name}" x="{WIDE - RIGHT - 6}" y="{20 + 20 * number}" text-anchor="end">'
        parts.append(f"{label}{escape(title)}</text>")
    return _svg(bottom + 45, f"share of answers by {unit}", parts)


def _axis(low: float, high: float, x: object, y: int, unit: str) -> str:
    assert callable(x)
    parts = [f'<line class="axis" x1="{LEFT}" y1="{y}" x2="{WIDE - RIGHT}" y2="{y}"/>']
    for value in ticks(low, high):
        at = x(value)
        parts.append(f'<line class="axis" x1="{at:.1f}" y1="{y}" x2="{at:.1f}" y2="{y + 5}"/>')
        parts.append(f'<text x="{at:.1f}" y="{y + 21}" text-anchor="middle">{value:g}</text>')
    parts.append(f'<text x="{WIDE - RIGHT}" y="{y + 39}" text-anchor="end">{escape(unit)}</text>')
    return "".join(parts)


def _svg(height: int, title: str, parts: Sequence[str], *, role: str = "img") -> str:
    """role: "group" where there are links inside, for which a screen reader does not look in an "img"."""
    inside = f"<title>{escape(title)}</title>{''.join(parts)}"
    return scrolling(title, f'<svg class="plot" viewBox="0 0 {WIDE} {height}" role="{role}">{inside}</svg>')


def scrolling(title: str, inside: str) -> str:
    """What is wider than a phone, so that its words stay readable: scrolled by itself, with the keyboard too."""
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(title)}">{inside}</div>'
