"""Shapes painted into pictures, and the page with question, answer and truth that the demo writes for each question."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from nav_vlm_sim.demo.shapes import LETTERS, Label, Point, Role, Shape, labels_of

Image = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]

INK, PAPER, FAINT = (24, 24, 27), (250, 250, 249), (113, 113, 122)
GREEN, BLUE, ORANGE = (0, 140, 95), (20, 95, 205), (205, 80, 0)  # told apart by every common kind of colour vision
COLOURS: dict[Role, Colour] = {
    "truth": GREEN, "hazard": ORANGE, "answer": BLUE, "said": BLUE,
    "thing": FAINT, "grid": (190, 190, 195), "wearer": INK,
}  # fmt: skip
FILL = {"truth": 0.38, "answer": 0.85}  # opacity of areas
PHOTO, SIDE = 960, 480  # pixels: width of the photograph and of the column beside it
_SUB = 8  # OpenCV's fractions of a pixel, as a shift


def page(
    photo: Image, marks: Sequence[Shape], plan: Sequence[Shape], title: str, lines: Sequence[tuple[str, str]]
) -> Image:
    """RGB [H, PHOTO + SIDE, 3]: the photograph with `marks`, the plan with its legend, and below them the words.

    photo: RGB, PHOTO wide. marks: in its pixels. plan: in a square of SIDE. lines: (what, text).
    """
    pictured = painted(photo, marks)
    height = max(photo.shape[0], SIDE + 200)
    canvas = np.full((height, PHOTO + SIDE, 3), PAPER, np.uint8)
    canvas[: photo.shape[0], :PHOTO] = pictured
    canvas[:SIDE, PHOTO:] = painted(np.full((SIDE, SIDE, 3), PAPER, np.uint8), plan)
    canvas = np.concatenate([canvas, np.full((_words_height(lines), PHOTO + SIDE, 3), PAPER, np.uint8)])
    image = PillowImage.fromarray(canvas)
    draw = ImageDraw.Draw(image)
    _legend(image, PHOTO + 24, SIDE + 16)
    _words(draw, height, title, lines)
    return np.asarray(image)


def enlarged(photo: Image, width: int = PHOTO) -> Image:
    """The photograph at another width, its shape kept."""
    height = round(photo.shape[0] * width / photo.shape[1])
    return np.asarray(cv2.resize(photo, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def painted(canvas: Image, shapes: Iterable[Shape]) -> Image:
    """A copy of `canvas` (RGB) with the shapes on it, labels on top."""
    shapes = list(shapes)
    canvas = canvas.copy()
    for shape in shapes:
        _FORMS.get(shape.form, _nothing)(canvas, shape, COLOURS[shape.role])
    image = PillowImage.fromarray(canvas)
    draw = ImageDraw.Draw(image)
    for label in labels_of(shapes, image.size, lambda text, letters: font(letters).getlength(text)):
        _label(draw, label)
    return np.asarray(image)


def png(picture: Image) -> bytes:
    """RGB as a PNG file."""
    done, data = cv2.imencode(".png", np.ascontiguousarray(picture[..., ::-1]), [cv2.IMWRITE_PNG_COMPRESSION, 6])
    assert done
    return bytes(data)


def jpeg(picture: Image) -> bytes:
    """RGB as a JPEG file."""
    done, data = cv2.imencode(".jpg", np.ascontiguousarray(picture[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 86])
    assert done
    return bytes(data)


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own font; an old Pillow has it in one small size only."""
    try:
        return ImageFont.load_default(size)
    except TypeError:
        return ImageFont.load_default()


# ---- shapes ------------------------------------------------------------------------------------


def _fixed(points: Iterable[Point]) -> npt.NDArray[np.int32]:
    clipped = np.clip(np.array(list(points)), -20_000, 20_000)
    return np.round(clipped * (1 << _SUB)).astype(np.int32)


def _area(canvas: Image, shape: Shape, colour: Colour) -> None:
    corners = [_fixed(shape.points)]
    filled = canvas.copy()
    cv2.fillPoly(filled, corners, colour, cv2.LINE_AA, _SUB)
    opacity = FILL.get(shape.role, 0.5)
    canvas[:] = cv2.addWeighted(filled, opacity, canvas, 1 - opacity, 0)
    cv2.polylines(canvas, corners, True, (255, 255, 255), 3, cv2.LINE_AA, _SUB)
    cv2.polylines(canvas, corners, True, colour, 1, cv2.LINE_AA, _SUB)


def _line(canvas: Image, shape: Shape, colour: Colour) -> None:
    cv2.polylines(canvas, [_fixed(shape.points)], False, colour, 1, cv2.LINE_AA, _SUB)


def _strokes(canvas: Image, lines: list[list[Point]], closed: bool, colour: Colour, width: int) -> None:
    """Coloured lines with a white rim, to be seen on any ground."""
    fixed = [_fixed(line) for line in lines]
    cv2.polylines(canvas, fixed, closed, (255, 255, 255), width + 4, cv2.LINE_AA, _SUB)
    cv2.polylines(canvas, fixed, closed, colour, width, cv2.LINE_AA, _SUB)


def _cross(canvas: Image, shape: Shape, colour: Colour) -> None:
    (x, y), r = shape.points[0], shape.size
    _strokes(canvas, [[(x - r, y - r), (x + r, y + r)], [(x - r, y + r), (x + r, y - r)]], False, colour, 4)


def _diamond(canvas: Image, shape: Shape, colour: Colour) -> None:
    (x, y), r = shape.points[0], 1.5 * shape.size
    _strokes(canvas, [[(x - r, y), (x, y - r), (x + r, y), (x, y + r)]], True, colour, 3)


def _ring(canvas: Image, shape: Shape, colour: Colour) -> None:
    (x, y), r = shape.points[0], 1.2 * shape.size
    circle = [(x + r * np.cos(a), y + r * np.sin(a)) for a in np.linspace(0, 2 * np.pi, 33)[:-1]]
    _strokes(canvas, [circle], True, colour, 4)


def _dot(canvas: Image, shape: Shape, colour: Colour) -> None:
    centre = _fixed(shape.points)[0]
    cv2.circle(canvas, (int(centre[0]), int(centre[1])), round(shape.size * (1 << _SUB)), colour, -1, cv2.LINE_AA, _SUB)


def _nothing(canvas: Image, shape: Shape, colour: Colour) -> None:
    """A label is all text."""


_FORMS = {"area": _area, "line": _line, "cross": _cross, "diamond": _diamond, "ring": _ring, "dot": _dot}


def _label(draw: ImageDraw.ImageDraw, label: Label) -> None:
    letters, colour = font(LETTERS[label.plain]), COLOURS[label.role]
    at = (label.x + 5, label.y + label.height / 2)
    if label.plain:
        draw.text(at, label.text, font=letters, fill=colour, anchor="lm", stroke_width=2, stroke_fill=PAPER)
        return
    box = (label.x, label.y, label.x + label.width, label.y + label.height)
    draw.rounded_rectangle(box, 5, fill=(255, 255, 255), outline=colour, width=1)
    draw.text(at, label.text, font=letters, fill=colour, anchor="lm")


# ---- words -------------------------------------------------------------------------------------

LEGEND: tuple[tuple[Shape, str], ...] = (
    (Shape("area", "truth", ((0, 4), (34, 4), (34, 20), (0, 20))), "the true way, 0.8 m wide"),
    (Shape("area", "answer", ((0, 9), (22, 9), (22, 4), (34, 12), (22, 20), (22, 15), (0, 15))), "the answer's way"),
    (Shape("ring", "truth", ((17, 12),), "", 6.5), "what was asked for, or leads there"),
    (Shape("cross", "hazard", ((17, 12),), "", 7), "a hazard on the way"),
    (Shape("diamond", "said", ((17, 12),), "", 5.5), "a hazard that the answer names"),
)


def _legend(image: PillowImage.Image, x: int, y: int) -> None:
    draw = ImageDraw.Draw(image)
    for row, (shape, text) in enumerate(LEGEND):
        sample = painted(np.full((24, 36, 3), PAPER, np.uint8), [shape])
        image.paste(PillowImage.fromarray(sample), (x, y + 30 * row))
        draw.text((x + 48, y + 30 * row + 3), text, font=font(16), fill=INK)
    note = "seen from above: the wearer at the dot, facing up"
    draw.text((x, y + 30 * len(LEGEND) + 6), note, font=font(14), fill=FAINT)


_MARGIN, _COLUMN, _LINE = 28, 96, 30


def _rows(lines: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The lines, wrapped."""
    rows = []
    for what, text in lines:
        for part in wrapped(text, PHOTO + SIDE - 2 * _MARGIN - _COLUMN, 20):
            rows.append((what, part))
            what = ""
    return rows


def _words_height(lines: Sequence[tuple[str, str]]) -> int:
    return 76 + _LINE * len(_rows(lines)) + 16


def _words(draw: ImageDraw.ImageDraw, top: int, title: str, lines: Sequence[tuple[str, str]]) -> None:
    draw.text((_MARGIN, top + 22), title, font=font(30), fill=INK)
    colours = {"truth": GREEN, "answer": BLUE}
    for row, (what, text) in enumerate(_rows(lines)):
        y = top + 76 + _LINE * row
        draw.text((_MARGIN, y), what, font=font(20), fill=colours.get(what, INK))
        draw.text((_MARGIN + _COLUMN, y), text, font=font(20), fill=INK)


def wrapped(text: str, width: int, size: int) -> list[str]:
    """Lines of at most `width` pixels; a word that is longer has a line of its own."""
    letters, lines = font(size), [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if not lines[-1] or letters.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
