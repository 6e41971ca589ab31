"""Small pictures for people: what the camera saw, with the true way and the answered way; directions as a plot."""

from __future__ import annotations

import math
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np

from nav_vlm_node.view import Rectifier, View
from nav_vlm_training.data.samples import Image, read_picture
from nav_vlm_training.evaluation.judging import Judged, column_names

SHOWN = View(width=400, height=320)  # the model's angles, larger: upright and level whatever the camera
TRUE, SAID, HAZARD, INK = (40, 200, 90), (235, 60, 50), (255, 190, 40), (20, 20, 20)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
Pixel = tuple[int, int]


def annotated(folder: Path, one: Judged) -> Image:
    """uint8 RGB [SHOWN.height, SHOWN.width, 3]: green where the target is, red where the answer leads, yellow hazards.

    Raises UserError for a picture that does not open.
    """
    sample, outcome = one.sample, one.outcome
    picture = Rectifier(sample.camera, sample.rig, SHOWN)(read_picture(folder / sample.image))
    height = sample.rig.camera_height
    for hazard in outcome.truth.hazards:
        if math.isnan(hazard.bearing):  # a person warned of it and did not say where
            continue
        _cross(picture, _floor(hazard.bearing, hazard.distance, height), hazard.landmark)
    if outcome.truth.visible:
        _way(picture, outcome.truth.bearing, TRUE, f"true {_degrees(outcome.truth.bearing)}", 0)
    if not math.isnan(outcome.direction):
        _way(picture, outcome.direction, SAID, f"said {_degrees(outcome.direction)}", 1)
    return picture


def jpeg(picture: Image, quality: int = 82) -> bytes:
    """uint8 RGB [H, W, 3] as JPEG."""
    return _encoded(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])


def confusion_plot(counts: dict[str, dict[str, int]]) -> bytes:
    """PNG of `judging.confusion`: each row is where the target was, shaded by the share of the answers in it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = column_names()
    rows = [name for name in names if name in counts] or ["ahead"]
    table = np.array([[counts.get(row, {}).get(name, 0) for name in names] for row in rows], float).reshape(
        len(rows), len(names)
    )
    share = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(8.2, 0.42 * len(rows) + 1.9), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for i, j in np.argwhere(table > 0):
        dark = share[i, j] > 0.55
        axes.text(
            j, i, f"{table[i, j]:.0f}", ha="center", va="center", fontsize=8, color="white" if dark else "#333333"
        )
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
    axes.set_yticks(range(len(rows)), [f"{row}  ({table[i].sum():.0f})" for i, row in enumerate(rows)])
    axes.set_xlabel("the answer leads (degrees)")
    axes.set_ylabel("the target is (degrees)")
    axes.set_title("Directions: answered against true", fontsize=11)
    out = BytesIO()
    figure.savefig(out, format="png")
    return out.getvalue()


def _encoded(kind: str, picture: Image, options: list[int]) -> bytes:
    done, data = cv2.imencode(kind, np.ascontiguousarray(picture[..., ::-1]), options)
    assert done
    return bytes(data.tobytes())


def _column(bearing: float) -> int:
    return round((0.5 - bearing / SHOWN.hfov) * SHOWN.width)


def _row(elevation: float) -> int:
    return round((0.5 - (elevation - SHOWN.elevation) / SHOWN.vfov) * SHOWN.height)


def _floor(bearing: float, distance: float, height: float) -> Pixel:
    """Where a point on the floor is drawn, kept inside the picture."""
    row = _row(-math.atan2(height, max(distance, 0.05))) if math.isfinite(distance) else SHOWN.height - 12
    return min(max(_column(bearing), 8), SHOWN.width - 8), min(max(row, 8), SHOWN.height - 8)


def _way(picture: Image, bearing: float, colour: tuple[int, int, int], text: str, line: int) -> None:
    """An arrow from the wearer's feet towards a bearing, and its words in a corner; at the edge if it is outside."""
    foot = (SHOWN.width // 2, SHOWN.height - 1)
    tip = (min(max(_column(bearing), 4), SHOWN.width - 5), int(SHOWN.height * (0.52 if line else 0.45)))
    if abs(bearing) > math.radians(90):
        tip = (foot[0] + (60 if bearing > 0 else -60), foot[1])
    cv2.arrowedLine(picture, foot, tip, INK, 5, cv2.LINE_AA, tipLength=0.08)
    cv2.arrowedLine(picture, foot, tip, colour, 3, cv2.LINE_AA, tipLength=0.08)
    _label(picture, text, (6, 20 + 20 * line), colour)


def _cross(picture: Image, at: Pixel, name: str) -> None:
    cv2.drawMarker(picture, at, INK, cv2.MARKER_TILTED_CROSS, 18, 4, cv2.LINE_AA)
    cv2.drawMarker(picture, at, HAZARD, cv2.MARKER_TILTED_CROSS, 16, 2, cv2.LINE_AA)
    _label(picture, name, (min(at[0] + 10, SHOWN.width - 9 * len(name) - 6), at[1] - 4), HAZARD)


def _label(picture: Image, text: str, at: Pixel, colour: tuple[int, int, int]) -> None:
    (width, height), _ = cv2.getTextSize(text, _FONT, 0.45, 1)
    x, y = max(at[0], 2), max(at[1], height + 4)
    cv2.rectangle(picture, (x - 2, y - height - 3), (x + width + 2, y + 4), INK, -1)
    cv2.putText(picture, text, (x, y), _FONT, 0.45, colour, 1, cv2.LINE_AA)


def _degrees(bearing: float) -> str:
    degrees = round(math.degrees(bearing))
    return "ahead" if not degrees else f"{abs(degrees)} {'left' if degrees > 0 else 'right'}"
