"""`evaluate --ray` on a real Ray of this machine: the walks of processes, and one line where there is no Ray."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from nav_vlm_sim.walks.evaluate import EPISODES, Settings, evaluate


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own: what Ray starts then ends with it, and not with pytest."""
    command = [sys.executable, "-c", "import sys; from nav_vlm_sim.cli import main; sys.exit(main(sys.argv[1:]))"]
    return subprocess.run([*command, "evaluate", *words], capture_output=True, text=True, check=False, timeout=600)


def lines(out: Path) -> dict[str, object]:
    return {e["key"]: e["episode"] for e in map(json.loads, (out / EPISODES).read_text().splitlines())}


def test_the_walks_are_those_of_processes(tmp_path: Path) -> None:
    words = ["--episodes", "2", "--seed", "3", "--guides", "oracle,random", "--json"]
    done = run(*words, "--workers", "2", "--out", str(tmp_path / "ray"), "--ray")
    assert done.returncode == 0, done.stderr
    settings = Settings(episodes=2, seed=3, guides=("oracle", "random"))
    expected = evaluate(settings, tmp_path / "plain", workers=1, quiet=True)
    assert json.loads(done.stdout)["guides"] == json.loads(json.dumps(expected["guides"]))
    assert lines(tmp_path / "ray") == lines(tmp_path / "plain")


def test_no_ray_and_no_model_are_one_line(tmp_path: Path) -> None:
    gone = run("--episodes", "1", "--guides", "oracle", "--out", str(tmp_path / "gone"), "--ray", "127.0.0.1:9")
    assert gone.returncode == 2
    assert "no Ray there" in gone.stderr.splitlines()[-1]
    broken = run("--episodes", "1", "--guides", "model", "--model", str(tmp_path), "--workers", "1", "--ray")
    assert broken.returncode == 2, broken.stderr
    assert str(tmp_path) in broken.stderr.splitlines()[-1]
    assert "Traceback" not in gone.stderr + broken.stderr
