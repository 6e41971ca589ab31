"""The repository as a whole: versions agree, nothing of one machine is in it, the promised commands exist."""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from nav_vlm_node import cli

ROOT = Path(__file__).parents[2]
PACKAGE_XMLS = ["package.xml", "ros2_ws/src/nav_vlm_msgs/package.xml", "ros2_ws/src/nav_vlm_sim/package.xml"]
SETUP_CFGS = ["setup.cfg", "training/setup.cfg", "ros2_ws/src/nav_vlm_sim/setup.cfg"]


def setup_cfg(name: str) -> configparser.ConfigParser:
    config = configparser.ConfigParser()
    config.read(ROOT / name, encoding="utf-8")
    return config


def package_xml(name: str) -> ET.Element:
    return ET.parse(ROOT / name).getroot()


def tracked() -> list[Path]:
    """The files of the repository; of the folder where it is not a git checkout."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        return [path for path in ROOT.rglob("*") if path.is_file() and ".venv" not in path.parts]
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_versions_agree() -> None:
    newest = re.search(r"^(\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.rst").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest
    versions = {name: package_xml(name).findtext("version") for name in PACKAGE_XMLS}
    versions |= {name: setup_cfg(name)["metadata"]["version"] for name in SETUP_CFGS}
    assert set(versions.values()) == {newest[1]}, versions


def test_a_robots_own_builds_are_never_required() -> None:
    for name in SETUP_CFGS:
        required = setup_cfg(name)["options"]["install_requires"].lower()
        assert not re.search(r"torch|transformers|opencv|peft", required), name


@pytest.mark.parametrize("folder", ["", "ros2_ws/src/nav_vlm_sim"])
def test_colcon_can_read_the_setup(folder: str) -> None:
    code = (
        "import distutils.core, setuptools; d = distutils.core.run_setup('setup.py', ['--dry-run'], 'config'); "
        "print({k: v for k, v in vars(d).items() if k[0] != '_' and k not in ('metadata', 'cmdclass')})"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT / folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "SpecifierSet" not in done.stdout


@pytest.mark.parametrize("name", PACKAGE_XMLS)
def test_package_xml(name: str) -> None:
    root = package_xml(name)
    assert root.findtext("license") == "Apache-2.0"
    email = root.find("maintainer")
    assert email is not None
    assert re.fullmatch(r"[\w.-]+@[\w-]+\.\w+", email.get("email", ""))


@pytest.mark.parametrize(("name", "folder"), [("nav_vlm", "."), ("nav_vlm_sim", "ros2_ws/src/nav_vlm_sim")])
def test_what_colcon_installs_runs_with_the_python_of_the_terminal(name: str, folder: str, tmp_path: Path) -> None:
    """colcon runs with the system's Python, and torch may be in an environment that the terminal has activated."""
    build = ["build", "--build-base", str(tmp_path / "build"), "install", "--prefix", str(tmp_path / "install")]
    egg = ["egg_info", "--egg-base", str(tmp_path)]
    words = [*egg, *build, "--single-version-externally-managed", "--record", str(tmp_path / "record")]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "setup.py", "-q", *words], cwd=ROOT / folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    scripts = sorted((tmp_path / "install" / "lib" / name).iterdir())
    assert {"nav_vlm": "guide_node", "nav_vlm_sim": "walker_node"}[name] in [script.name for script in scripts]
    for script in scripts:
        assert script.read_text(encoding="utf-8").startswith("#!/usr/bin/env python3\n"), script


DEBIAN = {"cv2": "python3-opencv", "numpy": "python3-numpy", "PIL": "python3-pil", "tqdm": "python3-tqdm"}
DEBIAN |= {"yaml": "python3-yaml"}


@pytest.mark.parametrize(
    ("name", "sources"),
    [("package.xml", "nav_vlm_node"), ("ros2_ws/src/nav_vlm_sim/package.xml", "ros2_ws/src/nav_vlm_sim")],
)
def test_a_package_depends_on_what_it_imports(name: str, sources: str) -> None:
    named = {element.text for element in package_xml(name) if element.tag.endswith("depend")}
    modules = "|".join([r"\w+_(?:msgs|srvs|interfaces)", "rclpy", "cv_bridge", *DEBIAN])
    imported: set[str] = set()
    for path in (ROOT / sources).rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        found = re.findall(rf"^\s*(?:from|import) ({modules})\b", text, re.M)
        imported |= {DEBIAN.get(module, module) for module in found}
    if name == "package.xml":
        imported -= {"python3-tqdm"}  # of replay alone, whose rosbags ROS 2 does not have: the extra `bag`
    missing = imported - named - {"builtin_interfaces", "action_msgs", "unique_identifier_msgs"}
    assert not missing, f"{name} does not name {sorted(missing)}"


def test_no_trace_of_one_machine() -> None:
    machine = re.compile(rb"(^|[^A-Za-z0-9_.])/(work|root|farm|Users)/|(^|[^A-Za-z0-9_./<{$])/home/[a-z]")
    registry = re.compile(rb"pypi\.org|pythonhosted|download\.pytorch|--(extra-)?index-url|deb\.debian|ghcr\.io", re.I)
    for path in tracked():
        if path.suffix in {".png", ".jpg", ".safetensors", ".gif", ".mcap", ".db3"} or path == Path(__file__):
            continue
        content = path.read_bytes()
        for pattern in (machine, registry):
            found = pattern.search(content)
            assert not found, f"{path.relative_to(ROOT)}: {found[0]!r}"


def test_links_are_relative_and_lead_somewhere() -> None:
    listed = subprocess.run(["git", "ls-files", "-s"], cwd=ROOT, capture_output=True, text=True).stdout
    for line in listed.splitlines():
        if line.startswith("120000"):
            link = ROOT / line.split("\t")[1]
            assert not link.readlink().is_absolute()
            assert link.exists(), link


def test_makefile_has_the_promised_targets() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in ("setup", "demo", "test", "lint", "clean"):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_ci_runs_the_readmes_test_command() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8").rstrip().splitlines()
    assert script[-1] == "make test"
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111


def test_launch_folders_do_not_shadow_launch() -> None:
    assert not [path for path in tracked() if path.parent.name == "launch" and path.name == "__init__.py"]


def test_every_python_package_has_an_init_and_is_installed() -> None:
    for top in ("nav_vlm_node", "training/nav_vlm_training", "ros2_ws/src/nav_vlm_sim/nav_vlm_sim"):
        folders = {path.parent for path in (ROOT / top).rglob("*.py")}
        assert all((folder / "__init__.py").is_file() for folder in folders), folders
        assert (ROOT / top / "py.typed").is_file()


def test_constraints_are_pins() -> None:
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        assert line.startswith("#") or re.fullmatch(r"[\w.-]+==[\w.]+(; python_version (<|>=) \"3\.\d+\")?", line), line


@pytest.mark.parametrize("name", ["nav-vlm", "nav-vlm-sim", "nav-vlm-train"])
def test_the_commands_are_installed(name: str) -> None:
    assert (Path(sys.prefix) / "bin" / name).is_file()


@pytest.mark.parametrize("name", sorted(cli.COMMANDS))
def test_every_subcommand_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        cli.main([name, "--help"])
    assert raised.value.code == 0
    assert name in capsys.readouterr().out
