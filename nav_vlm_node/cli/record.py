"""`nav-vlm record`: a rosbag2 recording of camera, questions and answers, without rosbag2's tools."""

from __future__ import annotations

import argparse
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from nav_vlm_node.errors import UserError
from nav_vlm_node.ros import bringup, rigs

if TYPE_CHECKING:
    from nav_vlm_node.ros.record_node import RecordNode

HELP = "a bag of camera, questions and answers, without rosbag2's tools"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("out", type=Path, metavar="DIR", help="the bag's folder, which is made")
    parser.add_argument("--rig", default="", help="the worn camera: a name, or the path of a profile")
    parser.add_argument(
        "--image-topic", default="", metavar="TOPIC", help="instead of the rig's; camera_info beside it"
    )
    parser.add_argument("--image-transport", default="", choices=rigs.TRANSPORTS, help="raw, or the camera's own jpegs")
    parser.add_argument(
        "--odom-topic", default="odom", metavar="TOPIC", help="the wearer's odometry (default: %(default)s)"
    )
    parser.add_argument("--namespace", default="", help="of the topics")
    parser.add_argument(
        "--image-rate", type=float, default=0.0, metavar="HZ", help="images a second at most (default: all)"
    )
    parser.add_argument(
        "--jpeg",
        type=int,
        nargs="?",
        const=85,
        metavar="QUALITY",
        help="keep raw images as jpegs (85, or 1 to 100): about a tenth of the size, and not quite the same picture",
    )
    parser.add_argument("--storage", default="mcap", choices=("mcap", "sqlite3"), help="default: %(default)s")
    parser.add_argument("--zstd", action="store_true", help="pack what is written, without loss")


def run(args: argparse.Namespace) -> int:
    """Record until Ctrl-C; returns the exit status, 1 where messages are missing."""
    if not 0.0 <= args.image_rate <= 1000.0:
        raise UserError(f"--image-rate {args.image_rate:g}: give up to 1000 images a second, or leave it out for all")
    if args.jpeg is not None and not 1 <= args.jpeg <= 100:
        raise UserError(f"--jpeg {args.jpeg}: give 1 to 100")
    namespace = bringup.namespace_of(args.namespace)
    rigs.check_topic(args.odom_topic)
    profile = rigs.load(args.rig)
    topics = rigs.Topics.beside(args.image_topic) if args.image_topic else profile.topics
    compressed = (args.image_transport or profile.image_transport) == "compressed"
    if compressed and args.jpeg:
        raise UserError("--jpeg has nothing to do for a camera that publishes jpegs itself; leave it out")
    try:
        from nav_vlm_node.ros.record_node import Recording, RecordNode
        from nav_vlm_node.ros.run import run_nodes
    except ModuleNotFoundError as error:
        raise UserError(f"no ROS 2 here ({error}); run make setup, or source a ROS 2 installation") from None
    wanted = Recording(
        out=args.out,
        topics=replace(topics, compressed=topics.jpeg),
        odom=args.odom_topic,
        compressed=compressed,
        image_rate=args.image_rate,
        jpeg=args.jpeg or 0,
        storage=args.storage,
        zstd=args.zstd,
    )
    made: list[RecordNode] = []
    ended = threading.Event()

    def make() -> list[RecordNode]:
        made.append(RecordNode(wanted, ended=ended, namespace=namespace))
        print(f"recording to {args.out}; Ctrl-C ends it", file=sys.stderr)
        return made

    status = run_nodes(make, ended=ended)
    return _report(made[0], args.out) or status


def _report(node: RecordNode, out: Path) -> int:
    """Say what was recorded, and what was not."""
    for topic, count in sorted(node.counts.items()):
        print(f"{count:8d}  {topic}")
    for topic, count in sorted(node.lost.items()):
        print(f"nav-vlm: {count} messages on {topic} were not recorded", file=sys.stderr)
    if node.fault:
        print(f"nav-vlm: error: {node.fault}; {out} holds what was written before", file=sys.stderr)
    return 1 if node.fault or node.lost else 0
