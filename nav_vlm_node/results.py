"""What every file in docs/results says of itself: the command, the code, the machine, the day, the versions, the seeds.

A figure without these is not kept. Standard library only, so that any tool may use it.
"""

from __future__ import annotations

import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("numpy", "torch", "transformers", "peft", "opencv-python-headless", "mujoco")


def record(
    command: str, *, seeds: Mapping[str, int] | None = None, packages: Iterable[str] = PACKAGES
) -> dict[str, Any]:
    """The facts of a run that starts now. command: see `command_line`. packages: those that are installed are named."""
    return {
        "command": command,
        "commit": commit(),
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "machine": machine(),
        "versions": versions(packages),
        "seeds": dict(seeds or {}),
    }


def command_line(program: str, arguments: Iterable[str]) -> str:
    """The command as another person would type it: of absolute paths only what lies below here, or the last part."""
    return shlex.join([program, *(_portable(word) for word in arguments)])


def machine() -> dict[str, Any]:
    """cpu: its name. cores: those that this process may use. memory_gib. gpu: where PyTorch is loaded and sees one."""
    facts: dict[str, Any] = {"cpu": _cpu_name(), "cores": _cores(), "memory_gib": _memory_gib()}
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        facts["gpu"] = torch.cuda.get_device_name(0)
    return facts


def versions(packages: Iterable[str] = PACKAGES) -> dict[str, str]:
    """Of Python and of the packages that are there."""
    found = {"python": platform.python_version()}
    for name in packages:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def commit(folder: Path | None = None) -> str:
    """The commit that the code is at, with "+changes" where tracked files differ from it; "" outside a checkout."""
    where = folder or Path(__file__).resolve().parents[1]
    name = _git(where, "rev-parse", "HEAD")
    return name + "+changes" if name and _git(where, "status", "--porcelain", "--untracked-files=no") else name


def write(path: Path, result: Mapping[str, Any]) -> None:
    """Write a result so that the file is there whole or not at all. NaN is refused: JSON has none. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    try:
        draft.write_text(json.dumps(result, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def _portable(word: str) -> str:
    option, equals, value = word.partition("=") if word.startswith("-") else ("", "", word)
    path = Path(value)
    if not path.is_absolute():
        return word
    here = Path.cwd()
    return option + equals + (str(path.relative_to(here)) if path.is_relative_to(here) else path.name)


def _git(folder: Path, *words: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words], capture_output=True, text=True, check=False, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _memory_gib() -> float:
    try:
        return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1)
    except (ValueError, OSError, AttributeError):
        return 0.0
