"""A real headless browser, Chromium or Chrome, for tests of pages: what a page holds after its script has run."""

from __future__ import annotations

import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# No sandbox: containers run as root. The others keep a browser that has no network from asking for it.
OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr",
)  # fmt: skip
PATIENCE = 400.0  # seconds until a browser that hangs is given up


@functools.cache
def browser() -> str:
    """Its path; skips the test where there is none."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"browser: none of {', '.join(NAMES)} is installed")
    return found


def dom(page: Path, *, fragment: str = "", act: str = "") -> str:
    """The page's HTML after loading. act: a script that runs after the page's own, as a user would click.

    AssertionError where a script fails.
    """
    with tempfile.TemporaryDirectory(prefix="browser-") as folder:
        copy = Path(folder) / page.name
        text = page.read_text(encoding="utf-8")
        assert text.count("</body>") == 1
        copy.write_text(text.replace("</body>", f"<script>{act}</script></body>"), encoding="utf-8")
        return _run(copy.as_uri() + fragment, "--dump-dom").stdout


def screenshot(page: Path, picture: Path, *, width: int = 1400, height: int = 1000) -> None:
    """Writes what somebody sees who opens the page as a PNG."""
    _run(page.resolve().as_uri(), f"--screenshot={picture}", f"--window-size={width},{height}")


def _run(address: str, *options: str) -> subprocess.CompletedProcess[str]:
    with tempfile.TemporaryDirectory(prefix="browser-profile-", ignore_cleanup_errors=True) as profile:
        done = subprocess.run(
            [browser(), *OPTIONS, f"--user-data-dir={profile}", *options, address],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    errors = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert not errors, "\n".join(errors)
    return done
