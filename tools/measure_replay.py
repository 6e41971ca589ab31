#!/usr/bin/env python3
"""How much memory a long recording takes to replay: a bag of 30 Hz video is made, replayed, and the peak is noted.

    .venv/bin/python tools/measure_replay.py [--seconds 600] [--out docs/results/replay.json]

The same is done with a bag of a tenth of the length: what both take is the model and the libraries, what only the long
one takes would grow with the recording. Peaks are the largest resident set of the `nav-vlm replay` process (getrusage).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from tqdm import tqdm

from nav_vlm_node import results
from nav_vlm_node.replay.messages import our_typestore
from nav_vlm_node.replay.run import PACKAGES

RATE, WIDTH, HEIGHT, QUALITY = 30, 320, 240, 85
START = 1_700_000_000_000_000_000  # ns
EVERY = 10.0  # s from one question to the next
QUESTIONS = ("Where is the door?", "How do I get to the exit?", "Is anything in my way?")
PLUGINS = {"mcap": StoragePlugin.MCAP, "sqlite3": StoragePlugin.SQLITE3}


def main() -> int:
    """Measure, print the JSON object, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=600.0, help="of video (default: %(default)g)")
    parser.add_argument("--storage", choices=sorted(PLUGINS), default="mcap", help="(default: %(default)s)")
    parser.add_argument("--model", default="", help="model directory (default: the embedded one)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="JSON file to write")
    args = parser.parse_args()
    if not 1.0 <= args.seconds <= 36000.0:
        parser.error("--seconds: give 1 to 36000")
    report = results.record(results.command_line("tools/measure_replay.py", sys.argv[1:]), packages=PACKAGES)
    report["video"] = {"rate_hz": RATE, "width": WIDTH, "height": HEIGHT, "format": "jpeg", "storage": args.storage}
    with tempfile.TemporaryDirectory(prefix="measure_replay_") as folder:
        for name, seconds in (("short", args.seconds / 10), ("long", args.seconds)):
            bag = Path(folder) / name
            make_bag(bag, seconds, args.storage)
            report[name] = replayed(bag, Path(folder) / f"{name}_out", args.model)
    report["growth_bytes"] = report["long"]["peak_rss_bytes"] - report["short"]["peak_rss_bytes"]
    print(json.dumps(report, indent=1))
    if args.out:
        results.write(args.out, report)
    return 0


def make_bag(path: Path, seconds: float, storage: str) -> None:
    """A recording of a camera that sweeps over a drawn room, with a question now and then."""
    store = our_typestore()
    image, query = store.types["sensor_msgs/msg/CompressedImage"], store.types["nav_vlm_msgs/msg/Query"]
    header, stamp = store.types["std_msgs/msg/Header"], store.types["builtin_interfaces/msg/Time"]
    wall, noise = drawn(), np.random.default_rng(0)
    asked = 0
    with Writer(path, version=9, storage_plugin=PLUGINS[storage]) as writer:
        pictures = writer.add_connection("/image/compressed", image.__msgtype__, typestore=store)
        questions = writer.add_connection("/query", query.__msgtype__, typestore=store)
        for number in tqdm(range(round(seconds * RATE)), desc=path.name, unit="picture"):
            time_ns = START + round(number * 1e9 / RATE)
            at = header(stamp=stamp(sec=time_ns // 10**9, nanosec=time_ns % 10**9), frame_id="camera_optical")
            shown = np.roll(wall, 2 * number, axis=1)[:, :WIDTH] + noise.integers(0, 8, (HEIGHT, WIDTH, 1), np.uint8)
            data = cv2.imencode(".jpg", shown, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].reshape(-1)
            message = image(header=at, format="bgr8; jpeg compressed bgr8", data=data)
            writer.write(pictures, time_ns, store.serialize_cdr(message, image.__msgtype__))
            if number / RATE >= (asked + 0.1) * EVERY or (number == 0 and seconds < EVERY):
                text = QUESTIONS[asked % len(QUESTIONS)]
                question = query(header=at, id=f"q{asked}", text=text, priority=0)
                writer.write(questions, time_ns, store.serialize_cdr(question, query.__msgtype__))
                asked += 1


def drawn() -> Any:
    """uint8 [HEIGHT, 4 * WIDTH, 3]: a wall with doors over a floor."""
    wall = np.full((HEIGHT, 4 * WIDTH, 3), 150, np.uint8)
    wall[int(0.6 * HEIGHT) :] = (70, 90, 110)
    for left in range(60, 4 * WIDTH, 260):
        wall[int(0.2 * HEIGHT) : int(0.7 * HEIGHT), left : left + 60] = (30, 60, 120)
    return wall


def replayed(bag: Path, out: Path, model: str) -> dict[str, Any]:
    """`nav-vlm replay` in a process of its own: its peak, its time, what it answered."""
    words = ["replay", str(bag), "--out", str(out), "--json", *(["--model", model] if model else [])]
    start = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "nav_vlm_node.cli", *words], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)  # Linux: ru_maxrss is in KiB
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"nav-vlm replay ended with status {process.returncode}")
    found = json.loads(output)
    return {
        "duration_s": found["duration_s"],
        "images": found["images"]["count"],
        "bag_bytes": sum(file.stat().st_size for file in bag.iterdir()),
        "queries": found["queries"],
        "answered": found["answered"],
        "wall_s": round(time.monotonic() - start, 1),
        "peak_rss_bytes": usage.ru_maxrss * 1024,
    }


if __name__ == "__main__":
    sys.exit(main())
