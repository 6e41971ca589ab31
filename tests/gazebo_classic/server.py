"""A Gazebo Classic 11 in its chroot (tools/gazebo_chroot.sh), paused and stepped from here."""

from __future__ import annotations

import itertools
import os
import queue
import re
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nav_vlm_sim.gazebo.simulators import WEARER
from tests.gazebo_classic.transport import HOST, PATIENCE, Client
from tests.gazebo_classic.turns import Placed
from tests.gazebo_classic.wire import decode, encode

CHROOT = Path(__file__).parents[2] / "tools" / "gazebo_chroot.sh"
LEASH = ("setpriv", "--pdeathsig", "KILL")  # no Gazebo outlives who started it
STARTS = 5
MOST_PICTURES = 40
STEPS_PER_PICTURE = 25  # of 4 ms: the camera's 10 Hz
ENVIRONMENT = {
    "GAZEBO_IP": HOST, "GAZEBO_MODEL_DATABASE_URI": "", "GAZEBO_RESOURCE_PATH": "/shared:/usr/share/gazebo-11",
    "GAZEBO_MODEL_PATH": "/shared", "LIBGL_ALWAYS_SOFTWARE": "1", "LP_NUM_THREADS": "1",
}  # fmt: skip


def root_folder() -> Path:
    """Where tools/gazebo_chroot.sh has Gazebo."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("NAV_VLM_GAZEBO_ROOT") or cache / "nav_vlm" / "gazebo11")


def missing() -> str:
    """Why no Gazebo Classic can be started here; "" where it can."""
    if os.geteuid() != 0:
        return "gz: Gazebo Classic in its chroot needs root"
    if not (root_folder() / "usr/bin/gzserver").exists():
        return "gz: no Gazebo Classic in its chroot; run make gazebo"
    return ""


@dataclass(frozen=True, eq=False)
class Picture:
    """stamp: seconds of simulated time. rgb: uint8 [H, W, 3]."""

    stamp: float
    rgb: npt.NDArray[np.uint8]


class GazeboClassic:
    """A world that stands still but for `step`. Use it as a context manager."""

    def __init__(self, folder: Path, world_name: str, log: Path, patience: float = PATIENCE) -> None:
        """patience: seconds of silence after which it counts as hanging (AssertionError)."""
        self._folder, self._name, self._log_path, self._patience = folder, world_name, log, patience
        self._numbers = itertools.count(1)
        self._client: Client | None = None
        self.asked = 0

    def __enter__(self) -> GazeboClassic:
        for attempt in range(1, STARTS + 1):
            try:
                self._start()
                return self
            except AssertionError:  # on few cores its master now and then stops to read while the world is loaded
                self.__exit__()
                if attempt == STARTS:
                    raise
            except BaseException:
                self.__exit__()
                raise
        raise AssertionError("no start")

    def _start(self) -> None:
        with socket.create_server((HOST, 0)) as free:
            port = int(free.getsockname()[1])
        words = [f"{name}={value}" for name, value in ENVIRONMENT.items()]
        words.append(f"GAZEBO_MASTER_URI=http://{HOST}:{port}")
        gazebo = ["gzserver", "--verbose", "--lockstep", "-u", "world.sdf"]
        display = ["xvfb-run", "-a", "-s", "-screen 0 640x480x24 -nolisten tcp -nolisten local"]
        self._client = None
        self._log = self._log_path.open("wb")
        self._process = subprocess.Popen(
            [*LEASH, str(CHROOT), "run", str(self._folder), "env", *words, *display, *gazebo],
            stdout=self._log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        self._await_port(port)
        client = self._client = Client(port)
        space = f"/gazebo/{self._name}/"
        self._states = client.subscribe(space + "world_stats", "gazebo.msgs.WorldStatistics")
        self._responses = client.subscribe(space + "response", "gazebo.msgs.Response")
        self._pictures = client.subscribe(f"{space}{WEARER}/base_link/camera/image", "gazebo.msgs.ImageStamped")
        assert self.iterations() == 0
        self._control = client.advertise(space + "world_control", "gazebo.msgs.WorldControl")
        self._modify = client.advertise(space + "model/modify", "gazebo.msgs.Model")
        self._physics = client.advertise(space + "physics", "gazebo.msgs.Physics")
        self._request = client.advertise(space + "request", "gazebo.msgs.Request")
        for topic in (self._control, self._modify, self._physics, self._request):
            topic.await_listener()
        self.asked = 0

    def __exit__(self, *_: object) -> None:
        if self._client is not None:
            self._client.__exit__()
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)  # the first of a PID namespace: all in it end with it
        self._process.wait()
        self._log.close()

    def iterations(self) -> int:
        """Steps that the world has made: by the second statistics from now, since the first may be on its way."""
        while not self._states.empty():
            self._states.get()
        self._get(self._states)
        newest: dict[int, list[Any]] = decode(self._get(self._states))
        return int(newest[6][0])

    def rest(self) -> int:
        """Waits until the steps that were asked for are made; how many the world has made then."""
        end = time.monotonic() + self._patience
        while (made := self.iterations()) < self.asked:
            assert time.monotonic() < end, f"{made} of {self.asked} steps; see {self._log_path}"
        return made

    def step(self, count: int) -> None:
        """That many steps; returns at once. asked: of all so far."""
        self.asked += count
        self._control.publish(encode([(3, count)]))

    def without_physics(self) -> None:
        """From now on things stay where they are put, also in the air and in each other."""
        self._physics.publish(encode([(12, 0)]))

    def place(self, name: str, where: Placed) -> None:
        """Puts the model there; returns when it is there."""
        w, x, y, z = where.turn
        position = encode([(number, float(value)) for number, value in zip((1, 2, 3), where.at, strict=True)])
        orientation = encode([(2, float(x)), (3, float(y)), (4, float(z)), (5, float(w))])
        self._modify.publish(encode([(1, name), (4, encode([(3, position), (4, orientation)]))]))
        end = time.monotonic() + self._patience
        while np.abs(np.subtract(self.position(name), where.at)).max() > 1e-6:
            assert time.monotonic() < end, f"{name} does not go to {where}; see {self._log_path}"

    def position(self, name: str) -> tuple[float, float, float]:
        """Where the model's frame is, metres; asks Gazebo, which answers five times a second."""
        number = next(self._numbers)
        self._request.publish(encode([(1, number), (2, "entity_info"), (3, name)]))
        while True:
            response: dict[int, list[Any]] = decode(self._get(self._responses))
            if response[1][0] == number:
                break
        pose: dict[int, list[Any]] = decode(decode(response[5][0])[4][0])  # type: ignore[arg-type]
        at: dict[int, list[Any]] = decode(pose[3][0])
        return at[1][0], at[2][0], at[3][0]

    def look(self) -> Picture:
        """The first picture that is like the one before it: until then the scene may not be complete."""
        while not self._pictures.empty():
            self._pictures.get()
        last = self._next_picture()
        for _ in range(MOST_PICTURES):
            picture = self._next_picture()
            if np.array_equal(picture.rgb, last.rgb):
                return picture
            last = picture
        raise AssertionError(f"the picture never rests; see {self._log_path}")

    def _next_picture(self) -> Picture:
        self.step(STEPS_PER_PICTURE)
        return _picture(self._get(self._pictures))

    def _get(self, messages: queue.Queue[bytes]) -> bytes:
        try:
            return messages.get(timeout=self._patience)
        except queue.Empty:
            raise AssertionError(f"Gazebo is silent; see {self._log_path}") from None

    def _await_port(self, port: int) -> None:
        end = time.monotonic() + self._patience
        while self._process.poll() is None and time.monotonic() < end:
            try:
                socket.create_connection((HOST, port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise AssertionError(f"Gazebo did not start; see {self._log_path}")


def faults(log: Path) -> list[str]:
    """What Gazebo says went wrong; that this machine plays no sounds is no fault."""
    lines = re.sub(r"\x1b\[[0-9;]*m", "", log.read_text(encoding="utf-8", errors="replace")).splitlines()
    found = [line for line in lines if line.startswith(("[Err]", "[Wrn]", "libprotobuf ERROR", "Error"))]
    return [
        line
        for line in found
        if not re.search("OpenAL|Conversion of sensor type.*depth|Deleting a connection right after creation", line)
    ]


def _picture(message: bytes) -> Picture:
    stamped: dict[int, list[Any]] = decode(message)
    image: dict[int, list[Any]] = decode(stamped[2][0])
    time_of: dict[int, list[Any]] = decode(stamped[1][0])
    width, height, step = (int(image[number][0]) for number in (1, 2, 4))
    rows = np.frombuffer(image[5][0], np.uint8).reshape(height, step)[:, : 3 * width]
    stamp = int(time_of[1][0]) + 1e-9 * int(time_of[2][0])
    return Picture(stamp, np.ascontiguousarray(rows.reshape(height, width, 3)))
