"""Only three things may be missing where the tests run: ROS 2's launch tools, Gazebo, and a CUDA GPU.

A test that needs one of them skips with a reason that begins with its name ("launch tools: ...", "gz: ...",
"cuda: ..."). Any other skip would hide a test that nobody runs, and fails the run. All skips are listed and
counted at the end.
"""

from __future__ import annotations

import re
from collections import Counter

import pytest

MAY_BE_MISSING = re.compile(r"^(launch tools|gz|cuda): \S")


def reason_of(report: pytest.TestReport | pytest.CollectReport) -> str:
    """The reason that a skipped test gave."""
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")


class SkipPolicy:
    """Counts the skips of the session; fails it for one that has no right to be."""

    def __init__(self) -> None:
        self.reasons: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            self.reasons[reason_of(report)] += 1

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self.reasons[reason_of(report)] += 1

    @property
    def forbidden(self) -> list[str]:
        return sorted(reason for reason in self.reasons if not MAY_BE_MISSING.match(reason))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.forbidden and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.section(f"skipped: {self.reasons.total()}")
        for reason, count in sorted(self.reasons.items()):
            terminalreporter.line(f"{count:5d}  {reason}")
        for reason in self.forbidden:
            terminalreporter.line(f"FAILED: only launch tools, gz and cuda may be missing, not: {reason}", red=True)


def pytest_configure(config: pytest.Config) -> None:
    """Count where the results come together: with xdist, in the process that hands out the tests."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(SkipPolicy())
