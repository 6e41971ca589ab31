"""Surface patterns and signs, drawn from a random generator. Arrays are uint8 RGB [H, W, 3]."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
Pattern = npt.NDArray[np.floating]  # [SIZE, SIZE], added to a nearly white surface
Rng = np.random.Generator

SIZE = 128  # pixels of a square surface pattern


def _grid() -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    y, x = np.mgrid[0:SIZE, 0:SIZE]
    return x, y


def _smooth_noise(rng: Rng, rows: int, columns: int) -> Pattern:
    coarse = rng.normal(0, 1, (rows, columns)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC), np.float32)


def _plain(rng: Rng) -> Pattern:
    return np.zeros((SIZE, SIZE))


def _checker(rng: Rng) -> Pattern:
    x, y = _grid()
    return -60.0 * (((x // rng.integers(8, 32)) + (y // rng.integers(8, 32))) % 2) * rng.uniform(0.2, 1)


def _stripes(rng: Rng) -> Pattern:
    x, _ = _grid()
    return -70.0 * ((x % rng.integers(8, 40)) < rng.integers(1, 5)) * rng.uniform(0.3, 1)


def _tiles(rng: Rng) -> Pattern:
    x, y = _grid()
    return -70.0 * (((x % 32) < 2) | ((y % 32) < 2)) * rng.uniform(0.3, 1)


def _clouds(rng: Rng) -> Pattern:
    return 25.0 * _smooth_noise(rng, int(rng.integers(3, 12)), int(rng.integers(3, 12)))


def _grain(rng: Rng) -> Pattern:
    return 22.0 * _smooth_noise(rng, int(rng.integers(2, 5)), int(rng.integers(20, 60)))


def _bricks(rng: Rng) -> Pattern:
    x, y = _grid()
    row = y // 16
    joint = (y % 16 < 2) | ((x + 16 * (row % 2)) % 32 < 2)
    return -60.0 * joint * rng.uniform(0.4, 1) + 10.0 * rng.normal(0, 1, (8, 1)).repeat(16, 0)


def _terrazzo(rng: Rng) -> Pattern:
    spots = np.zeros((SIZE, SIZE), np.float32)
    for x, y in rng.integers(0, SIZE, (int(rng.integers(40, 120)), 2)):
        cv2.circle(spots, (int(x), int(y)), int(rng.integers(1, 5)), float(rng.uniform(-70, 30)), -1)
    return np.asarray(spots, np.float64)


def _weave(rng: Rng) -> Pattern:
    x, y = _grid()
    period = int(rng.integers(6, 16))
    return -45.0 * (((x + y) % period < period // 2) ^ ((x - y) % period < period // 2)) * rng.uniform(0.3, 1)


def _hexagons(rng: Rng) -> Pattern:
    """Distances to the nearest two centres of a honeycomb differ little along its joints."""
    x, y = _grid()
    size = float(rng.choice([16.0, 32.0]))
    row, column = np.mgrid[-1 : SIZE / size * 2 + 2, -1 : SIZE / size + 2]
    centres = np.stack([(column + 0.5 * (row % 2)) * size, row * size / 2], -1).reshape(-1, 2)
    away = np.sqrt(((np.stack([x, y], -1)[:, :, None] - centres) ** 2).sum(-1))
    nearest = np.partition(away, 1, axis=-1)
    return -70.0 * (nearest[..., 1] - nearest[..., 0] < 2.0) * rng.uniform(0.4, 1)


def _herringbone(rng: Rng) -> Pattern:
    x, y = _grid()
    plank = int(rng.choice([16, 32]))
    flipped = np.where((x // plank) % 2 == 0, x + y, x - y) % plank
    tone = rng.normal(0, 12, (SIZE // plank + 1, SIZE // plank + 1))[y // plank, x // plank]
    return -60.0 * (flipped < 2) * rng.uniform(0.4, 1) + tone


def _dots(rng: Rng) -> Pattern:
    x, y = _grid()
    pitch = int(rng.choice([8, 16, 32]))
    return (
        -65.0 * ((x % pitch - pitch / 2) ** 2 + (y % pitch - pitch / 2) ** 2 < (0.3 * pitch) ** 2) * rng.uniform(0.3, 1)
    )


# The held-out family is never drawn in training: it measures what new surfaces cost. The shifted one is another
# building altogether, see `scene.SHIFTED`.
FAMILIES: dict[str, tuple[Callable[[Rng], Pattern], ...]] = {
    "train": (_plain, _checker, _stripes, _tiles, _clouds, _grain),
    "heldout": (_bricks, _terrazzo, _weave),
    "shifted": (_hexagons, _herringbone, _dots),
}


def surface(rng: Rng, family: str) -> Image:
    """A nearly white pattern [128, 128, 3] that a geom's own colour tints."""
    patterns = FAMILIES[family]
    base = 215.0 + patterns[rng.integers(len(patterns))](rng)[..., None] * np.ones(3)
    base += rng.normal(0, rng.uniform(0, 12), (SIZE, SIZE, 1))
    return np.clip(base, 0, 255).astype(np.uint8)


def exit_sign(rng: Rng, arrow: str) -> Image:
    """A green sign [64, 160, 3] with white text; arrow is "left", "right", "ahead" or "" (none)."""
    sign = np.zeros((64, 160, 3), np.uint8)
    sign[:] = (int(rng.integers(0, 30)), int(rng.integers(110, 190)), int(rng.integers(40, 90)))
    white = (255, 255, 255)
    if not arrow:
        cv2.putText(sign, "EXIT", (22, 47), cv2.FONT_HERSHEY_SIMPLEX, 1.5, white, 5, cv2.LINE_AA)
        return sign
    text_x = {"left": 66, "right": 6, "ahead": 66}[arrow]
    cv2.putText(sign, "EXIT", (text_x, 44), cv2.FONT_HERSHEY_SIMPLEX, 1.15, white, 4, cv2.LINE_AA)
    tail, head = {
        "left": ((58, 32), (8, 32)),
        "right": ((102, 32), (152, 32)),
        "ahead": ((32, 58), (32, 6)),
    }[arrow]
    cv2.arrowedLine(sign, tail, head, white, 9, cv2.LINE_AA, tipLength=0.45)
    return sign


def toilet_sign(rng: Rng) -> Image:
    """A blue sign [64, 64, 3] with white letters."""
    sign = np.zeros((64, 64, 3), np.uint8)
    sign[:] = (int(rng.integers(0, 40)), int(rng.integers(40, 90)), int(rng.integers(150, 230)))
    cv2.putText(sign, "WC", (4, 44), cv2.FONT_HERSHEY_SIMPLEX, 1.05, (255, 255, 255), 4, cv2.LINE_AA)
    return sign


def png(image: Image) -> bytes:
    """The picture as the bytes of a PNG file."""
    ok, data = cv2.imencode(".png", image[..., ::-1])
    assert ok
    return bytes(data)
