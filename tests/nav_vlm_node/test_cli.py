"""The command `nav-vlm` itself: errors in one line, exit statuses; and its doctor."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import sysconfig
from pathlib import Path

import pytest

from nav_vlm_node import cli, paths
from nav_vlm_node.cli import doctor
from nav_vlm_node.errors import UserError


def test_user_errors_are_one_line_and_status_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(args: argparse.Namespace) -> int:
        raise UserError("no such thing: name another")

    monkeypatch.setattr(doctor, "run", fail)
    assert cli.main(["doctor"]) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", "nav-vlm: error: no such thing: name another\n")


@pytest.mark.parametrize("words", [["no-such-command"], ["doctor", "--no-such-option"]])
def test_bad_arguments_are_one_line_and_status_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("nav-vlm: error: ")
    assert err.count("\n") == 1
    assert "--help" in err


def test_interrupt_is_130_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(args: argparse.Namespace) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(doctor, "run", interrupted)
    assert cli.main(["doctor"]) == 130
    assert capsys.readouterr().err == ""


def test_only_the_chosen_command_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    imported: list[str] = []

    def import_module(name: str) -> object:
        imported.append(name)
        return doctor

    monkeypatch.setattr(importlib, "import_module", import_module)
    cli.parse_arguments(["doctor", "--json"])
    assert imported == ["nav_vlm_node.cli.doctor"]


def finding(*, ok: bool, needed_for: str = "answers") -> doctor.Finding:
    return doctor.Finding(name="thing", ok=ok, detail="seen", needed_for=needed_for, remedy="" if ok else "install it")


@pytest.mark.parametrize(
    ("findings", "status"),
    [
        ([finding(ok=True)], 0),
        ([finding(ok=False, needed_for="training")], 0),
        ([finding(ok=True), finding(ok=False)], 1),
    ],
)
def test_doctor_fails_only_for_what_answers_need(
    findings: list[doctor.Finding], status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "examine", lambda: findings)
    assert cli.main(["doctor"]) == status
    assert ("install it" in capsys.readouterr().out) == any(not each.ok for each in findings)
    assert cli.main(["doctor", "--json"]) == status
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] == (status == 0)
    assert len(report["findings"]) == len(findings)


def test_probe_reports_what_crashes() -> None:
    assert doctor.probe("print('first'); print('last')") == (True, "last")
    ok, said = doctor.probe("import no_such_module")
    assert not ok
    assert "no_such_module" in said
    assert doctor.probe("import os; os.abort()") == (False, "crashes (signal 6)")


def test_a_library_that_hangs_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "PROBE_TIMEOUT", 0.5)
    found = doctor.probed("thing", "import threading; threading.Event().wait()", "install it")
    assert not found.ok
    assert "no answer" in found.detail
    assert found.remedy.startswith("try again")


def test_doctor_names_a_damaged_embedded_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(paths.ENVIRONMENT, str(tmp_path))
    found = doctor.embedded_model()
    assert not found.ok
    assert str(tmp_path) in found.detail
    assert found.remedy
    (tmp_path / "models" / "embedded").mkdir(parents=True)
    found = doctor.embedded_model()
    assert not found.ok
    assert "config.json" in found.detail


def test_doctor_names_a_domain_that_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", "500")
    found = doctor.middleware()
    assert not found.ok
    assert (found.detail, found.remedy) == ("ROS_DOMAIN_ID is '500'", "give 0 to 232, or unset it")


def test_doctor_lives_on_in_a_folder_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    found = doctor.disk()
    assert not found.ok
    assert found.remedy


@pytest.mark.parametrize("managed", [True, False])
def test_what_doctor_says_of_pip_works_where_it_is_said(
    managed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ubuntu 24.04's own Python refuses `pip install`; one in a virtual environment does not."""
    (tmp_path / "EXTERNALLY-MANAGED").touch()
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    monkeypatch.setattr(sys, "base_prefix", sys.prefix if managed else "/usr")
    assert ("--break-system-packages" in doctor.pip("peft")) == managed
    assert doctor.pip("peft").endswith(" peft")


def test_share_is_found_and_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(paths.ENVIRONMENT, raising=False)
    assert (paths.share() / "package.xml").is_file()
    monkeypatch.setenv(paths.ENVIRONMENT, str(tmp_path))
    assert paths.config() == tmp_path / "config"
    monkeypatch.setenv(paths.ENVIRONMENT, str(tmp_path / "absent"))
    with pytest.raises(UserError, match="absent"):
        paths.share()


def test_share_of_an_installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    share = tmp_path / "share" / "nav_vlm"
    share.mkdir(parents=True)
    (share / "package.xml").write_text("<package/>")
    module = tmp_path / "lib" / "python3.11" / "site-packages" / "nav_vlm_node" / "paths.py"
    monkeypatch.delenv(paths.ENVIRONMENT, raising=False)
    monkeypatch.setattr(paths, "__file__", str(module))
    assert paths.share() == share
