"""The plot of a sweep: direction accuracy against trained parameters, each row a numbered point with its interval."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt

SCORE = "direction_accuracy"
GAP = 0.017  # of the plot's width, between the middles of two points: a point is as wide
ROOM = 0.018  # of the plot's height, from the middle of a point to its edge
_COLOURS = (
    "#1f5fa8", "#c8501e", "#2e8b57", "#7b4fa3", "#a8871f", "#1f8f9e", "#b03a6a", "#5b6675", "#7a4a2b", "#3d3d3d",
    "#4f7fd9", "#e08f5a", "#7cbf95", "#b79ad6",
)  # fmt: skip


def draw(rows: Sequence[Mapping[str, Any]], kind: str) -> bytes:
    """A "png" or "svg". rows: of sweep.json; those that train nothing are lines across, colours are groups."""
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    shown = [row for row in rows if row[SCORE]["value"] is not None]
    groups = list(dict.fromkeys(_group(row) for row in shown))
    colours = [_COLOURS[groups.index(_group(row)) % len(_COLOURS)] for row in shown]
    places = places_of(shown)
    figure = Figure(figsize=(11.5, max(6.0, 0.24 * len(shown) + 1.2)), dpi=110, layout="constrained")
    axes = figure.subplots()
    for number, (row, colour, place) in enumerate(zip(shown, colours, places, strict=True), 1):
        value, low, high = (
            math.nan if x is None else 100 * x for x in (row[SCORE][k] for k in ("value", "low", "high"))
        )
        if row["trained_parameters"]:
            axes.plot([place, place], [low, high], color=colour, linewidth=1.6, solid_capstyle="round", zorder=2)
        else:
            axes.axhline(value, color=colour, linestyle="--", linewidth=1.2, zorder=1)
            if low < high:
                axes.axhspan(low, high, color=colour, alpha=0.08, linewidth=0, zorder=0)
        axes.text(
            place, value, str(number), ha="center", va="center", fontsize=7, color="white", zorder=4,
            bbox={"boxstyle": "circle,pad=0.2", "facecolor": colour, "edgecolor": "white", "linewidth": 0.8},
        )  # fmt: skip
    nothing = [place for row, place in zip(shown, places, strict=True) if not row["trained_parameters"]]
    _scale(axes, places, {row["trained_parameters"] for row in shown} - {0}, nothing)
    axes.set_ylabel(f"{SCORE}, %")
    axes.grid(axis="y", color="#dfe3e8", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    key = [
        Line2D([], [], color=colour, marker="o", linestyle="", markersize=7, label=f"{number}  {label}")
        for number, (label, colour) in enumerate(zip(labels_of(shown), colours, strict=True), 1)
    ]
    figure.legend(handles=key, loc="outside right upper", frameon=False, fontsize=8.5, handletextpad=0.2)
    out = BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "nav_vlm", "svg.fonttype": "none"}):  # the same figures, the same file
        figure.savefig(out, format=kind, metadata={"Date": None} if kind == "svg" else None)
    return out.getvalue()


def labels_of(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What each row is called in the plot: as short as it is clear, with its size, and its data where not the usual."""
    short = [row["name"].partition("/")[2] for row in rows]
    usual = Counter(row["data"] for row in rows).most_common(1)[0][0] if rows else ""
    found = []
    for row, label in zip(rows, short, strict=True):
        name = label if short.count(label) == 1 else f"{_group(row)}: {label}"
        size = _count(row["trained_parameters"]) if row["trained_parameters"] else "nothing trained"
        found.append(f"{name}, {size}" + (f" ({row['data']})" if row["data"] != usual else ""))
    return found


def spread(places: Sequence[float], gap: float) -> npt.NDArray[np.float64]:
    """Moved as little as it takes (least squares) to be `gap` apart, in their order; equal ones stay as they come."""
    order = sorted(range(len(places)), key=lambda index: places[index])
    blocks: list[tuple[float, int]] = []  # of the shifted places: mean and size (pool adjacent violators)
    for rank, index in enumerate(order):
        blocks.append((places[index] - rank * gap, 1))
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (one, few), (other, more) = blocks[-2:]
            blocks[-2:] = [((one * few + other * more) / (few + more), few + more)]
    shifted = np.repeat([mean for mean, _ in blocks], [size for _, size in blocks])
    found = np.empty(len(places))
    found[order] = shifted + gap * np.arange(len(places))
    return found


def columns(spans: Sequence[tuple[float, float]]) -> list[int]:
    """For each span from low to high, the first column in which no earlier one is in its way."""
    taken: list[list[tuple[float, float]]] = []
    found = []
    for low, high in spans:
        free = (number for number, column in enumerate(taken) if all(high < a or b < low for a, b in column))
        number = next(free, len(taken))
        taken += [[]] * (number == len(taken))
        taken[number] = [*taken[number], (low, high)]
        found.append(number)
    return found


def places_of(rows: Sequence[Mapping[str, Any]]) -> list[float]:
    """log10 of the trained parameters, moved apart where points or intervals would lie on each other.

    What trains nothing stands left of all others.
    """
    logs = [math.log10(row["trained_parameters"]) for row in rows if row["trained_parameters"]]
    width = (max(logs) - min(logs) if logs else 0.0) + 0.6
    left = (min(logs) if logs else 0.0) - 0.2 * width
    spans = _spans([row[SCORE] for row in rows])
    units: dict[tuple[float, int], list[int]] = {}  # size and column -> rows
    for size in sorted({row["trained_parameters"] for row in rows}):
        same = [index for index, row in enumerate(rows) if row["trained_parameters"] == size]
        for index, column in zip(same, columns([spans[index] for index in same]), strict=True):
            units.setdefault((math.log10(size) if size else left, column), []).append(index)
    found = [0.0] * len(rows)
    ordered = sorted(units)
    for unit, place in zip(ordered, spread([size for size, _ in ordered], GAP * width * 1.2), strict=True):
        for index in units[unit]:
            found[index] = float(place)
    return found


def _spans(figures: Sequence[Mapping[str, Any]]) -> list[tuple[float, float]]:
    """What each point takes of the height, with its interval."""
    ends = [
        (one["value"] if one["low"] is None else one["low"], one["value"] if one["high"] is None else one["high"])
        for one in figures
    ]
    room = ROOM * (max((high for _, high in ends), default=0.0) - min((low for low, _ in ends), default=0.0))
    return [
        (min(low, one["value"] - room), max(high, one["value"] + room))
        for one, (low, high) in zip(figures, ends, strict=True)
    ]


def _scale(axes: Any, places: Sequence[float], sizes: set[int], nothing: Sequence[float]) -> None:
    """The axis is of logarithms, so that points may stand side by side. sizes: where points belong, marked inside.

    nothing: where that stands which trains nothing.
    """
    axes.set_xlabel("trained parameters (sizes are marked inside the axis; points of one size stand side by side)")
    low, high = min(places, default=0.0), max(places, default=0.0)
    more = max(0.06 * (high - low), (0.6 - (high - low)) / 2)
    axes.set_xlim(low - more, high + more)
    exact = sorted(math.log10(size) for size in sizes)
    marks: list[float] = []
    if exact:
        powers = range(math.floor(exact[0]) - 1, math.ceil(high + more) + 1)
        every = [math.log10(digit) + power for power in powers for digit in (1, 2, 5)]
        least = max(low - more, max(nothing) + (exact[0] - max(nothing)) / 2) if nothing else low - more
        marks = [mark for mark in every if least <= mark <= high + more]
    none = [sum(nothing) / len(nothing)] if nothing else []
    axes.set_xticks([*none, *marks], [*["none"] * len(none), *(_count(10**mark) for mark in marks)])
    axes.set_xticks(exact, minor=True)
    axes.tick_params(axis="x", which="minor", direction="in", length=7, color="#1f5fa8")


def _count(number: float) -> str:
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number > 0.99 * unit:
            return f"{number / unit:.3g} {name}"
    return f"{number:.3g}"


def _group(row: Mapping[str, Any]) -> str:
    return str(row["name"]).partition("/")[0]
