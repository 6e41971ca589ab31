"""The whole demo by its command: what it prints, what it writes, how it ends, what it leaves behind."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from nav_vlm_node import cli
from nav_vlm_node.cli import demo as command
from nav_vlm_sim.demo.run import _ended_by_signals
from tests.nav_vlm_sim.pictures import picture
from tests.tiny_models import make_tiny_blip2

NAV_VLM = [sys.executable, "-m", "nav_vlm_node.cli", "demo"]
MARK = "NAV_VLM_TEST_MARK"
ENVIRONMENT = {"LP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
PATIENCE = 200.0


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_blip2(tmp_path_factory.mktemp("model"), with_adapter=True)


class Demo:
    """A demo in a process of its own. Its descendants are known by a mark that they inherit."""

    def __init__(self, *arguments: str, code: str | None = None) -> None:
        self.mark = uuid.uuid4().hex
        scratch = Path(arguments[arguments.index("--out") + 1]).parent  # a demo that is killed leaves files behind
        program = NAV_VLM if code is None else [sys.executable, "-c", code, "demo"]
        self.process = subprocess.Popen(
            [*program, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, MARK: self.mark, "TMPDIR": str(scratch), **ENVIRONMENT},
        )

    def end(self) -> tuple[int, str, str]:
        """(exit status, output, errors)."""
        output, errors = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, output, errors

    def alive(self) -> dict[int, str]:
        """The living processes that it started, and itself: id -> command line."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if self.mark.encode() in (folder / "environ").read_bytes():
                    found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:  # it has just ended
                continue
        return {number: words for number, words in found.items() if words}

    def kill(self, what: str = "") -> None:
        """End its processes, or those whose command line has `what`, at once."""
        for number, words in self.alive().items():
            if what in words:
                with suppress(ProcessLookupError):
                    os.kill(number, signal.SIGKILL)


@pytest.fixture
def demos() -> Iterator[list[Demo]]:
    """Whatever is in the list is killed at the end."""
    started: list[Demo] = []
    yield started
    for demo in started:
        demo.kill()
        demo.process.communicate()


def test_two_questions(model: Path, tmp_path: Path, demos: list[Demo]) -> None:
    out = tmp_path / "demo"
    out.mkdir()
    (out / "07-something-in-view.png").write_bytes(b"from an earlier demo")
    (out / "mine.txt").write_text("kept")
    demos.append(Demo("--model", str(model), "--questions", "2", "--out", str(out), "--json"))
    status, output, errors = demos[0].end()
    assert status == 0, errors
    assert demos[0].alive() == {}

    told = json.loads(output)
    assert [one["by"] for one in told["questions"]] == ["action", "action"]
    assert (told["model"], told["adapter"], told["seed"]) == ("tiny-t5", "guide", 0)
    assert sum(told["verdicts"].values()) == 2
    for one in told["questions"]:
        assert one["status"] in ("OK", "NOT_VISIBLE", "UNSURE")
        assert one["text"]
        assert one["truth"]
        assert one["reasons"]
        assert 0 < one["first_text_s"] <= one["total_s"]
        assert 0 <= one["image_age_s"] < 3
        _, marked, wrote = one["message"].partition("the model wrote ")
        if marked:  # the node's own record of it: the last words were not lost on the way
            assert wrote == repr(one["written"][:200])
        assert picture(out / one["picture"]).shape[1] == 1440

    # The conversation, for people: the question, the words as they came, what is spoken, the truth, the verdict.
    for one in told["questions"]:
        for text in (one["question"], one["text"], one["truth"], one["verdict"].upper()):
            assert text in errors
    assert errors.count("  writes ") == 2
    assert "\033" not in errors, "colour where there is no terminal"
    assert errors.isascii()

    assert sorted(path.name for path in out.iterdir()) == sorted(
        [*(one["picture"] for one in told["questions"]), "mine.txt", "report.html"]
    )
    report = (out / "report.html").read_text(encoding="utf-8")
    for one in told["questions"]:
        assert one["question"] in report


def wait_for(demo: Demo, text: str) -> None:
    """Until it prints a line with `text`."""
    seen = []
    assert demo.process.stdout is not None
    for line in demo.process.stdout:
        seen.append(line)
        if text in line:
            return
    pytest.fail(f"never said {text!r}: {seen}, {demo.end()[2]}")


@pytest.mark.parametrize("said", ["start on ROS 2 domain", "1 of 9"])
def test_ctrl_c_ends_it_in_order(said: str, model: Path, tmp_path: Path, demos: list[Demo]) -> None:
    out = tmp_path / "demo"
    demos.append(Demo("--model", str(model), "--questions", "9", "--out", str(out)))
    wait_for(demos[0], said)
    assert len(demos[0].alive()) > 1
    demos[0].process.send_signal(signal.SIGINT)
    status, _, errors = demos[0].end()
    assert status == 130
    assert "Traceback" not in errors
    assert demos[0].alive() == {}
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_as_ctrl_c_does(number: signal.Signals) -> None:
    """SIGHUP comes when the terminal is closed: the folder of logs and the pictures' drafts would stay behind."""
    first = signal.signal(number, signal.SIG_DFL)
    try:
        with pytest.raises(KeyboardInterrupt), _ended_by_signals():
            os.kill(os.getpid(), number)
        assert signal.getsignal(number) is signal.SIG_DFL
        signal.signal(number, signal.SIG_IGN)  # as nohup leaves it
        with _ended_by_signals():
            os.kill(os.getpid(), number)
    finally:
        signal.signal(number, first)


def test_nothing_outlives_a_demo_that_is_killed(model: Path, tmp_path: Path, demos: list[Demo]) -> None:
    demos.append(Demo("--model", str(model), "--out", str(tmp_path / "demo")))
    wait_for(demos[0], "1 of 10")
    demos[0].process.kill()
    demos[0].process.wait()
    end = time.monotonic() + 60
    while demos[0].alive() and time.monotonic() < end:
        threading.Event().wait(0.1)  # no parent is left who could be told of their end
    assert demos[0].alive() == {}


def test_a_node_that_dies_is_a_failure_in_one_line(model: Path, tmp_path: Path, demos: list[Demo]) -> None:
    demos.append(Demo("--model", str(model), "--out", str(tmp_path / "demo")))
    wait_for(demos[0], "1 of 10")
    demos[0].kill("nav_vlm_node.ros.node")
    status, _, errors = demos[0].end()
    assert status == 1
    assert errors.strip().splitlines()[-1].startswith("nav-vlm demo: the process of nav_vlm ended (exit status -9)")
    assert "Traceback" not in errors
    assert demos[0].alive() == {}


NO_EGL = """
import ctypes, sys
load = ctypes.CDLL.__init__
def without_egl(self, name=None, *arguments, **keywords):
    if name and "EGL" in str(name):
        raise OSError(f"{name}: cannot open shared object file")
    load(self, name, *arguments, **keywords)
ctypes.CDLL.__init__ = without_egl
from nav_vlm_node.cli import main
raise SystemExit(main())
"""


def test_without_graphics_one_line_names_the_packages(model: Path, tmp_path: Path, demos: list[Demo]) -> None:
    demos.append(Demo("--model", str(model), "--out", str(tmp_path / "demo"), code=NO_EGL))
    status, output, errors = demos[0].end()
    assert status == 2
    assert output == ""
    assert errors.startswith("nav-vlm: error: ")
    assert errors.count("\n") == 1, errors
    for package in ("libegl1", "libgl1", "libegl-mesa0"):
        assert package in errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "nowhere"], "no model directory at nowhere"),
        (["--questions", "0"], "--questions 0: give 1 to"),
        (["--seed", "-3"], "--seed -3: give"),
        (["--domain", "233"], "--domain 233: give 0 to 232"),
        (["--adapter", "nope"], "no adapter 'nope': the model has guide"),
        (["--out", "/proc/demo"], "--out /proc/demo: "),
    ],
)
def test_bad_arguments(
    arguments: list[str], message: str, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    given = arguments if "--model" in arguments else ["--model", str(model), *arguments]
    assert cli.main(["demo", *given]) == 2
    error = capsys.readouterr().err
    assert error.startswith("nav-vlm: error: ")
    assert error.count("\n") == 1
    assert message in error


def test_the_embedded_model_may_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "embedded_model", lambda: tmp_path / "models" / "embedded")
    assert cli.main(["demo"]) == 2
    assert "the embedded model is not at" in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["rclpy", "nav_vlm_sim"])
def test_what_is_not_installed_is_named(
    missing: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = importlib.util.find_spec

    def find(name: str, package: str | None = None) -> Any:
        return None if name == missing else found(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", find)
    assert cli.main(["demo"]) == 2
    assert "not installed; run make setup" in capsys.readouterr().err
