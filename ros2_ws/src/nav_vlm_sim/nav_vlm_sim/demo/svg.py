"""Shapes as SVG, to be put into report.html; what each role looks like is said by the page's style sheet."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from nav_vlm_sim.demo.shapes import LETTERS, Label, Point, Shape, labels_of


def drawing(shapes: Sequence[Shape], width: float, height: float, *, css: str, title: str = "") -> str:
    """One <svg> element. title: what it shows, for who cannot see it; "" where the page says it elsewhere."""
    told = f'role="img" aria-label="{escape(title)}"' if title else 'aria-hidden="true"'
    parts = [element(shape) for shape in shapes]
    parts += [_label(label) for label in labels_of(shapes, (width, height), lambda text, size: 0.53 * size * len(text))]
    return f'<svg class="{css}" viewBox="0 0 {width:g} {height:g}" {told}>{"".join(parts)}</svg>'


def element(shape: Shape) -> str:
    """One shape, without its text."""
    x, y = shape.points[0]
    r, role = shape.size, shape.role
    if shape.form == "area":
        return _twice("polygon", role, "area", f'points="{_points(shape.points)}"')
    if shape.form == "line":
        return f'<polyline class="{role}" points="{_points(shape.points)}"/>'
    if shape.form == "dot":
        return f'<circle class="{role} dot" cx="{x:.1f}" cy="{y:.1f}" r="{r:g}"/>'
    if shape.form == "ring":
        return _twice("circle", role, "stroke", f'cx="{x:.1f}" cy="{y:.1f}" r="{1.2 * r:g}"')
    if shape.form == "cross":
        path = f"M{x - r:.1f} {y - r:.1f}l{2 * r:g} {2 * r:g}m0 {-2 * r:g}l{-2 * r:g} {2 * r:g}"
        return _twice("path", role, "stroke", f'd="{path}"')
    if shape.form == "diamond":
        corners = [(x - 1.5 * r, y), (x, y - 1.5 * r), (x + 1.5 * r, y), (x, y + 1.5 * r)]
        return _twice("polygon", role, "stroke", f'points="{_points(corners)}"')
    return ""  # a label is all text


def _twice(tag: str, role: str, style: str, where: str) -> str:
    """The same form as a rim, to be seen on any ground, and on top of it in its colour."""
    rim = "rim" if style == "area" else "wide rim"
    return f'<{tag} class="{role} {rim}" {where}/><{tag} class="{role} {style}" {where}/>'


def _label(label: Label) -> str:
    size = LETTERS[label.plain]
    x, y = label.x + 5, label.y + label.height / 2 + 0.35 * size
    text = f'<text class="{label.role}" font-size="{size}" x="{x:.1f}" y="{y:.1f}">{escape(label.text)}</text>'
    if label.plain:
        return text
    box = f'x="{label.x:.1f}" y="{label.y:.1f}" width="{label.width:.1f}" height="{label.height:.1f}"'
    return f'<rect class="{label.role}" rx="5" {box}/>{text}'


def _points(points: Sequence[Point]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
