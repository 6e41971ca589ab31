"""`nav-vlm doctor`: what is installed, what is missing, what to do.

Libraries are looked at in processes of their own: one that crashes or hangs on import is reported as such.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from nav_vlm_node import paths
from nav_vlm_node.errors import UserError
from nav_vlm_node.ros.middleware import check_domain

HELP = "what is installed, what is missing, what to do"
PROBE_TIMEOUT = 180.0  # s; importing transformers from a cold disk on a busy machine takes a minute
HANGS = "no answer within"
DISK = 2.0e9  # bytes; a data set and a training run
SETUP = "make setup"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of the report. needed_for: "answers", or what else is lost without it. remedy: "" where it is ok."""

    name: str
    ok: bool
    detail: str
    needed_for: str = "answers"
    remedy: str = ""


def probe(code: str, **environment: str) -> tuple[bool, str]:
    """Run Python code in a fresh interpreter: whether it succeeded, and the last line that it said."""
    try:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code],
            capture_output=True,
            text=True,
            timeout=PROBE_TIMEOUT,
            env={**os.environ, "HF_HUB_OFFLINE": "1", **environment},
        )
    except subprocess.TimeoutExpired:
        return False, f"{HANGS} {PROBE_TIMEOUT:.0f} s"
    lines = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()
    last = lines[-1] if lines else ""
    if done.returncode < 0:
        return False, f"crashes (signal {-done.returncode})"
    return done.returncode == 0, last


def probed(name: str, code: str, remedy: str, needed_for: str = "answers", **environment: str) -> Finding:
    """A finding from `probe`."""
    ok, said = probe(code, **environment)
    if said.startswith(HANGS):
        remedy = f"try again when the machine is less busy; if it still hangs: {remedy}"
    return Finding(name=name, ok=ok, detail=said, needed_for=needed_for, remedy="" if ok else remedy)


def python() -> Finding:
    """The interpreter."""
    ok = (3, 10) <= sys.version_info[:2] <= (3, 13)
    remedy = "" if ok else "use Python 3.10 to 3.13: make setup PYTHON=python3.12"
    return Finding(name="Python", ok=ok, detail=f"{platform.python_version()}, {sys.prefix}", remedy=remedy)


def ros() -> Finding:
    """ROS 2, and where it is from."""
    code = "import os, rclpy; print('rclpy', os.path.dirname(rclpy.__file__))"
    found = probed("ROS 2", code, f"source a ROS 2 installation (. /opt/ros/jazzy/setup.bash), or run: {SETUP}")
    distribution = os.environ.get("ROS_DISTRO")
    where = f"{distribution}, sourced" if distribution else "Jazzy, from wheels"
    return Finding(
        name=found.name, ok=found.ok, detail=f"{where if found.ok else 'absent'}: {found.detail}", remedy=found.remedy
    )


def middleware() -> Finding:
    """The DDS that ROS 2 uses, and the domain that it is to use."""
    try:
        check_domain()
    except UserError as error:
        problem, _, remedy = str(error).partition(": ")
        return Finding(name="ROS 2 middleware", ok=False, detail=problem, remedy=remedy)
    code = "import rclpy.utilities as u; print(u.get_rmw_implementation_identifier())"
    return probed("ROS 2 middleware", code, "unset RMW_IMPLEMENTATION, or install the package that it names")


def messages() -> Finding:
    """The interfaces, with their type support, as every publisher loads them."""
    code = (
        "from nav_vlm_msgs.msg import Instruction as I; I.__class__.__import_type_support__(); "
        "import nav_vlm_msgs; print(list(nav_vlm_msgs.__path__)[0])"
    )
    return probed(
        "nav_vlm_msgs", code, f"{SETUP}, or in a ROS 2 workspace: colcon build, then source install/setup.bash"
    )


def pip(package: str) -> str:
    """What installs it into this Python. Debian's and Ubuntu's own (24.04 on) refuses pip (PEP 668)."""
    managed = Path(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED").is_file() and sys.prefix == sys.base_prefix
    return f"pip install {'--user --break-system-packages ' if managed else ''}{package}"


def torch() -> Finding:
    """PyTorch, and whether it sees a GPU."""
    code = (
        "import torch; c = torch.cuda.is_available(); "
        "print(torch.__version__, 'on ' + torch.cuda.get_device_name(0) if c else 'on the CPU: no CUDA device')"
    )
    return probed("torch", code, f"{pip('torch')} (on a Jetson: NVIDIA's wheel), or run: {SETUP}")


def transformers() -> Finding:
    """transformers, at a version that has what BLIP-2 needs here."""
    code = (
        "import importlib.metadata as m; v = m.version('transformers'); "
        "assert int(v.split('.')[0]) >= 5, v + ' is too old'; "
        "from transformers import Blip2ForConditionalGeneration; print(v)"
    )
    return probed("transformers", code, pip("'transformers>=5.0'"))


def peft() -> Finding:
    """peft, for adapters."""
    return probed("peft", "import peft; print(peft.__version__)", pip("peft"), "adapters")


def pillow() -> Finding:
    """Pillow, which brings a picture to the model's size."""
    code = "import PIL, PIL.Image; print(PIL.__version__)"
    return probed("Pillow", code, f"apt-get install -y python3-pil, or {pip('pillow')}")


def opencv() -> Finding:
    """OpenCV."""
    remedy = f"apt-get install -y python3-opencv, or {pip('opencv-python-headless')}"
    return probed("OpenCV", "import cv2; print(cv2.__version__, cv2.__file__)", remedy)


def image_conversion() -> Finding:
    """What decodes ROS images."""
    code = """
try:
    import cv_bridge
    print("cv_bridge")
except ImportError:
    import rosbags.image
    print("rosbags-image (no cv_bridge)")
"""
    remedy = f"apt-get install -y ros-$ROS_DISTRO-cv-bridge, or {pip('rosbags-image')}"
    return probed("image conversion", code, remedy)


def rendering() -> Finding:
    """MuJoCo, with a picture rendered off-screen."""
    code = """
import mujoco
model = mujoco.MjModel.from_xml_string("<mujoco><worldbody><geom size='.1'/></worldbody></mujoco>")
data = mujoco.MjData(model)
mujoco.mj_forward(model, data)
with mujoco.Renderer(model, 32, 32) as renderer:
    renderer.update_scene(data)
    renderer.render()
print("MuJoCo", mujoco.__version__, "with EGL")
"""
    remedy = f"{pip('mujoco')}; apt-get install -y libegl1 libgl1 libegl-mesa0"
    return probed("rendering", code, remedy, "the simulator and the demo", MUJOCO_GL="egl")


def embedded_model() -> Finding:
    """The embedded model: there, whole, and the base of its adapters."""
    from nav_vlm_node.vlm import card

    name = "embedded model"
    try:
        folder = paths.embedded_model()
        if not folder.is_dir():
            raise UserError(f"{folder} is missing: restore it from the repository")
        model = card.read_model_card(folder)
        identity = card.model_sha256(model.weights)
        for folder in model.adapters.values():
            if card.read_adapter_card(folder).base_sha256 != identity:
                raise UserError(f"{folder} was trained on another model: restore both from the repository")
    except UserError as error:
        problem, _, remedy = str(error).rpartition(": ")
        return Finding(name=name, ok=False, detail=problem, remedy=f"{remedy}; or name a model: --model DIR")
    adapters = ", ".join(model.adapters) or "no adapter"
    return Finding(name=name, ok=True, detail=f"{model.name} ({adapters}), sha256 {identity[:12]}, {model.directory}")


def launch_tools() -> Finding:
    """`ros2 launch`; without it there is `nav-vlm up`."""
    code = "import launch, launch_ros; print('launch, launch_ros')"
    return probed("launch tools", code, "use `nav-vlm up` instead, or install ROS 2's ros2launch", "ros2 launch")


def disk() -> Finding:
    """Free space where data sets and runs are written."""
    try:
        free = shutil.disk_usage(Path.cwd()).free
    except OSError as error:  # the folder is gone
        detail, remedy = f"nowhere to write to: {error.strerror}", "go to a folder that is there"
        return Finding(name="disk", ok=False, detail=detail, needed_for="training", remedy=remedy)
    remedy = "" if free >= DISK else f"free {DISK / 1e9:.0f} GB here"
    return Finding(
        name="disk", ok=free >= DISK, detail=f"{free / 1e9:.0f} GB free here", needed_for="training", remedy=remedy
    )


CHECKS: tuple[Callable[[], Finding], ...] = (
    *(python, ros, middleware, messages, torch, transformers, peft, opencv, pillow, image_conversion),
    *(embedded_model, rendering, launch_tools, disk),
)


def examine() -> list[Finding]:
    """All findings, in the order of CHECKS."""
    with ThreadPoolExecutor(max_workers=4) as pool:
        return list(pool.map(lambda check: check(), CHECKS))


def render(findings: list[Finding]) -> str:
    """The report for a terminal."""
    lines = []
    for finding in findings:
        mark = "ok     " if finding.ok else "MISSING" if finding.needed_for == "answers" else "without"
        lines.append(f"{mark}  {finding.name:<17} {finding.detail}")
        if not finding.ok:
            loss = "" if finding.needed_for == "answers" else f"(only for {finding.needed_for}) "
            lines.append(f"         {'':<17} -> {loss}{finding.remedy}")
    return "\n".join(lines)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Print the report. Returns 0 if everything that answers need is there, else 1."""
    findings = examine()
    ok = all(finding.ok for finding in findings if finding.needed_for == "answers")
    if args.json:
        print(json.dumps({"ok": ok, "findings": [asdict(finding) for finding in findings]}, indent=2))
    else:
        print(render(findings))
        print("\nReady to answer." if ok else "\nNot ready to answer: see MISSING.")
    return 0 if ok else 1
