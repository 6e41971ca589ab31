"""Stand-in pictures in the layout of MIT Indoor 67, for those who have the paper's question files and not its pictures.

    python tools/standin_mit67.py --questions DIR_OR_FILE... --out DIR [--noise]

They are **not** MIT Indoor 67, which is for research only and not to be redistributed: each picture that the questions
name is there under that name and shows a simulated room, of its class only by its folder. The questions are not about
what can be seen, so what a model scores on them says nothing; they show that the commands run from end to end.

    DIR/Images/<class>/<picture>, DIR/TrainImages.txt, DIR/TestImages.txt   as the real set has them
    DIR/STAND_INS.txt                                                       that they are none

As in the real set not every file is in order: one picture is grey and one is cut off in the middle. --noise draws
coloured blocks instead of rooms, for machines that cannot render.
"""

from __future__ import annotations

import argparse
import io
import sys
import zlib
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from tqdm import tqdm

from nav_vlm_node.errors import UserError
from nav_vlm_training.data.mit67 import IMAGES, LISTS
from nav_vlm_training.data.paper import read_text

WIDTH, HEIGHT = 320, 240
GREY, BROKEN = 1, 2  # which of all pictures, in order
ODD = {GREY: "grey", BROKEN: "cut off in the middle"}
EVERY = 5  # of each class every fifth picture is in TestImages.txt: 80 and 20 of 100 in the real set
FIRST_SCENE = 41_000_000
NOTICE = (
    "Stand-ins for the pictures of MIT Indoor 67, made by tools/standin_mit67.py. They show {what}, not what their\n"
    "names say; no score on them means anything.\n"
)
Picture = npt.NDArray[np.uint8]


def noise(name: str, _: int) -> Picture:
    """[HEIGHT, WIDTH, 3]: coloured blocks, others for each name."""
    blocks = np.random.default_rng(zlib.crc32(name.encode())).integers(0, 256, (HEIGHT // 20, WIDTH // 20, 3), np.uint8)
    return np.kron(blocks, np.ones((20, 20, 1), np.uint8))


def rooms(stack: ExitStack) -> Callable[[str, int], Picture]:
    """Draws the view into a simulated room, two pictures of each. Raises UserError where nothing can be drawn."""
    from nav_vlm_sim.camera import SimulatedCamera

    camera = stack.enter_context(SimulatedCamera(WIDTH, HEIGHT))
    return lambda name, number: camera.frame(FIRST_SCENE + number // 2, number % 2).raw


def write_picture(path: Path, pixels: Picture, number: int) -> None:
    """A JPEG; two of all are not in order."""
    picture = Image.fromarray(pixels)
    file = io.BytesIO()
    (picture.convert("L") if number == GREY else picture).save(file, format="JPEG", quality=85)
    data = file.getvalue()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data[: len(data) // 2] if number == BROKEN else data)


def make(questions: Sequence[Path], out: Path, draw: Callable[[str, int], Picture], what: str) -> list[str]:
    """Writes the folder; returns the names of the pictures. Raises UserError."""
    names = list(dict.fromkeys(pair.image for pair in read_text(questions).pairs))
    if not names:
        raise UserError(f"no line of {questions[0]} is like path;Q:question;A:answer; give the paper's question files")
    if out.exists() and any(out.iterdir()):
        raise UserError(f"{out} is not empty; give another --out")
    out.mkdir(parents=True, exist_ok=True)
    (out / "STAND_INS.txt").write_text(NOTICE.format(what=what), encoding="utf-8")
    often = 0.5 if sys.stderr.isatty() else 15.0  # seconds between two lines of a log
    for number, name in enumerate(tqdm(names, unit="picture", mininterval=often)):
        write_picture(out / IMAGES / name, draw(name, number), number)
    place: dict[str, int] = {}
    lists: dict[str, list[str]] = {split: [] for split in LISTS}
    for name in names:
        room = name.partition("/")[0]
        place[room] = place.get(room, 0) + 1
        lists["test" if place[room] % EVERY == 0 else "train"].append(name)
    for split, file in LISTS.items():
        (out / file).write_text("".join(f"{name}\n" for name in lists[split]), encoding="utf-8")
    return names


def main(argv: Sequence[str] | None = None) -> int:
    """Make what is asked for; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--questions", type=Path, nargs="+", required=True, metavar="F", help="the paper's files, or their folder"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a folder that is not there yet")
    parser.add_argument("--noise", action="store_true", help="coloured blocks instead of rooms")
    args = parser.parse_args(argv)
    try:
        with ExitStack() as stack:
            draw, shown = (noise, "coloured blocks") if args.noise else (rooms(stack), "simulated rooms")
            names = make(args.questions, args.out, draw, shown)
    except (UserError, OSError) as error:
        print(f"standin_mit67: error: {error}", file=sys.stderr)
        return 2
    odd = [f"{names[number]} is {how}" for number, how in ODD.items() if number < len(names)]
    print("; ".join([f"{args.out}: {len(names)} stand-in pictures, which show {shown}", *odd]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
