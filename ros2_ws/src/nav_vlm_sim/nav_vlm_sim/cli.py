"""The command `nav-vlm-sim`: a frame with its truth, a data set, a camera on ROS 2."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from contextlib import suppress
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from nav_vlm_node.command_line import Parser, guarded
from nav_vlm_node.errors import UserError
from nav_vlm_node.view import Camera
from nav_vlm_sim.gazebo import command as gazebo
from nav_vlm_sim.scene import ROOMS
from nav_vlm_sim.textures import FAMILIES
from nav_vlm_sim.walks import command as walks
from nav_vlm_sim.walks import plan_command, walk_command

if TYPE_CHECKING:
    from nav_vlm_sim.truth import Observation

MAX_SIDE = 1280  # pixels; world.MAX_SIDE, without needing graphics to say so


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line. Returns the exit status: 2 for an error of the user's, 130 for Ctrl-C."""

    def run() -> int:
        parser = _parser()
        args, rest = parser.parse_known_args(argv)
        ours = list(takewhile(lambda word: word != "--ros-args", rest)) if args.run is _camera else rest
        if ours:
            parser.error(f"unrecognized arguments: {' '.join(ours)}")
        args.rest = rest
        return int(args.run(args))

    return guarded("nav-vlm-sim", run)


def _parser() -> Parser:
    parser = Parser(prog="nav-vlm-sim", description="Indoor scenes with ground truth, seen by a worn camera.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    render = commands.add_parser("render", help="a frame, with its truth")
    render.set_defaults(run=_render)
    render.add_argument("--seed", type=int, required=True, metavar="S", help="which scene; a data set's `scene`")
    render.add_argument("--view", type=int, default=0, metavar="K", help="which place in the scene (0)")
    render.add_argument("--out", type=Path, metavar="F.png", help="write the picture there")
    render.add_argument("--annotate", action="store_true", help="draw the truth into the picture")
    render.add_argument("--json", action="store_true", help="print the truth as one JSON object")
    render.add_argument("--width", type=int, metavar="PIXELS", help="of the picture (drawn by the seed)")
    render.add_argument("--height", type=int, metavar="PIXELS", help="of the picture (drawn by the seed)")
    render.add_argument("--hfov", type=float, metavar="DEGREES", help="horizontal field of view (drawn by the seed)")
    render.add_argument("--family", choices=sorted(FAMILIES), default="train", help="of surface patterns and light")
    render.add_argument("--room", choices=sorted(ROOMS), help="sort of room (drawn by the seed)")

    dataset = commands.add_parser("dataset", help="questions about pictures, with answers and truth")
    dataset.set_defaults(run=_dataset)
    dataset.add_argument("--scenes", type=int, required=True, metavar="N", help="scenes in all splits together")
    dataset.add_argument("--seed", type=int, required=True, metavar="S", help="no two seeds share a scene")
    dataset.add_argument("--out", type=Path, required=True, metavar="D", help="a new folder, or one to go on with")
    dataset.add_argument("--views", type=int, default=3, metavar="V", help="pictures per scene (3)")
    dataset.add_argument("--questions", type=int, default=4, metavar="Q", help="questions per picture, at most (4)")
    dataset.add_argument(
        "--split-shares", type=_shares, default=(), metavar="SPLIT=SHARE,...",
        help="shares of the scenes (train=0.7,val=0.1,test=0.1,heldout_texture=0.05,heldout_room=0.05)",
    )  # fmt: skip
    dataset.add_argument("--workers", type=int, metavar="W", help="processes (one per core)")
    dataset.add_argument(
        "--family", choices=sorted(FAMILIES), default="",
        help="surface patterns and light of every scene (the split's own)",
    )  # fmt: skip
    dataset.add_argument("--room", choices=sorted(ROOMS), default="", help="sort of every room (the split's own)")
    dataset.add_argument(
        "--phrasing", choices=("train", "heldout", "both"), default="both",
        help="words of the questions; both: in the split test every question a second time in held-out words (both)",
    )  # fmt: skip
    dataset.add_argument(
        "--walking", action="store_true",
        help="people and the wearer walk; each picture comes with the two before it, a third of a second apart",
    )  # fmt: skip
    dataset.add_argument("--json", action="store_true", help="print the card as one JSON object")

    walks.add(commands)
    plan_command.add(commands)
    walk_command.add(commands)
    gazebo.add(commands)

    camera = commands.add_parser(
        "camera", help="publish a simulated camera on ROS 2",
        usage="nav-vlm-sim camera [--ros-args -p seed:=3 -p rate:=10.0 ...]",
        epilog="parameters: seed, view, views, hold_time, rate, width, height, hfov, camera_pitch, compressed, ...",
    )  # fmt: skip
    camera.set_defaults(run=_camera)
    return parser


def _shares(text: str) -> tuple[tuple[str, float], ...]:
    try:
        pairs = [part.split("=") for part in text.split(",")]
        return tuple((name.strip(), float(share)) for name, share in pairs)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not like train=0.8,val=0.1,test=0.1") from None


def _render(args: argparse.Namespace) -> int:
    from nav_vlm_node.view import View
    from nav_vlm_sim import textures
    from nav_vlm_sim.annotate import annotate
    from nav_vlm_sim.records import frame_to_json, take_frame
    from nav_vlm_sim.scene import sample_scene
    from nav_vlm_sim.world import SCENES_PER_WORLD, World

    if args.seed < 0 or args.view < 0:
        raise UserError("--seed and --view: give whole numbers from 0 on")
    if args.out is None and not args.json:
        raise UserError("nothing to do: give --out F.png for the picture, --json for the truth, or both")
    if args.out is not None and args.out.suffix.lower() != ".png":
        raise UserError(f"--out {args.out}: give a name that ends with .png")
    camera = _chosen_camera(args)
    with World(args.seed // SCENES_PER_WORLD, args.family) as world:
        scene = sample_scene(args.seed, room=args.room, family=args.family)
        world.load(scene)
        frame = take_frame(world, scene, args.view, View(), camera=camera)
    answers = good_answers(frame.observation)
    if args.out is not None:
        picture = annotate(frame, tuple(answers.values())) if args.annotate else frame.raw
        _write_whole(args.out, textures.png(picture))
    if args.json:
        print(json.dumps({**frame_to_json(frame), "answers": answers}))
    return 0


def _write_whole(path: Path, data: bytes) -> None:
    """The file appears when it is complete: one that was there stays until then. Raises UserError."""
    draft = path.with_name(f".{path.name}.draft")
    try:
        draft.write_bytes(data)
        draft.replace(path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}; give another --out") from None
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def _chosen_camera(args: argparse.Namespace) -> Camera | None:
    """The camera that the arguments name; None where they leave it to the seed."""
    if args.width is args.height is args.hfov is None:
        return None
    height = args.height if args.height is not None else 480 if args.width is None else round(args.width * 3 / 4)
    width = args.width if args.width is not None else round(height * 4 / 3)
    if not (16 <= width <= MAX_SIDE and 16 <= height <= MAX_SIDE):
        raise UserError(f"picture of {width}x{height}: give 16 to {MAX_SIDE} pixels for --width and --height")
    return Camera.from_fov(width, height, math.radians(args.hfov if args.hfov is not None else 90.0))


def good_answers(observation: Observation) -> dict[str, str]:
    """A good guide's answer to the way to everything in view, by its name."""
    from nav_vlm_node.language import render_canonical
    from nav_vlm_sim.truth import guide_steps

    shown = sorted((t for t in observation.targets.values() if t.visible), key=lambda t: t.distance)
    return {target.name: render_canonical(guide_steps(observation, target.name)) for target in shown}


def _dataset(args: argparse.Namespace) -> int:
    from nav_vlm_sim.dataset import make
    from nav_vlm_sim.plan import Plan

    plan = Plan(
        scenes=args.scenes, seed=args.seed, views=args.views, questions=args.questions, family=args.family,
        room=args.room, phrasing=args.phrasing, walking=args.walking, shares=args.split_shares,
    )  # fmt: skip
    card = make(plan, args.out, workers=args.workers)
    if args.json:
        print(json.dumps(card))
    else:
        n = card["counts"]
        print(f"{args.out}: {n['questions']} questions about {n['images']} pictures of {n['scenes']} scenes")
    return 0


def _camera(args: argparse.Namespace) -> int:
    try:
        from nav_vlm_sim.ros import camera_node
    except ModuleNotFoundError as error:
        raise UserError(f"no ROS 2 here ({error}); run make setup, or source a ROS 2 installation") from None
    return camera_node.main(args.rest)
