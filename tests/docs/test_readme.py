"""What the documents promise: commands that the real parsers take, files that exist, tables that the code gives."""

from __future__ import annotations

import importlib
import importlib.util
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import nav_vlm_sim.cli
import nav_vlm_training.cli
from nav_vlm_node import cli
from nav_vlm_node.ros import bringup

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PROGRAMS = ("nav-vlm", "nav-vlm-sim", "nav-vlm-train", "ros2", "make", "cd", "export")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def code_lines(path: Path) -> Iterator[str]:
    """The lines of indented and fenced code."""
    fenced = False
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            yield line.strip()


def commands(*programs: str) -> list[object]:
    """pytest parameters: every command in code or in backticks whose program is one of these."""
    found: dict[str, Path] = {}
    for path in DOCUMENTS:
        spans = re.findall(r"`([^`\n]+)`", path.read_text(encoding="utf-8"))
        for line in [*code_lines(path), *spans]:
            words = line.removeprefix(".venv/bin/").split()
            if len(words) > 1 and words[0] in programs:
                found.setdefault(line, path)
    return [pytest.param(line, id=f"{name_of(path)}: {line}") for line, path in found.items()]


def words_of(line: str) -> list[str]:
    return shlex.split(line.removeprefix(".venv/bin/"), comments=True)


@pytest.mark.parametrize("line", commands("nav-vlm"))
def test_nav_vlm_takes_every_command(line: str) -> None:
    words = words_of(line)[1:]
    if len(words) == 1 and words[0] in cli.COMMANDS:
        return  # its name alone
    if words[0].startswith("--"):
        return
    command, args = cli.parse_arguments(words)
    assert callable(command.run)
    assert args.command == words[0]


@pytest.mark.parametrize("line", commands("nav-vlm-sim"))
def test_nav_vlm_sim_takes_every_command(line: str) -> None:
    words = words_of(line)[1:]
    if words in (["camera"], ["render"], ["dataset"], ["evaluate"]):
        return
    nav_vlm_sim.cli._parser().parse_args(words)


@pytest.mark.parametrize("line", commands("nav-vlm-train"))
def test_nav_vlm_train_takes_every_command(line: str) -> None:
    words = words_of(line)[1:]
    if len(words) == 1 and words[0] in nav_vlm_training.cli.COMMANDS:
        return
    nav_vlm_training.cli.parse_arguments(words)


@pytest.mark.parametrize("line", commands("make"))
def test_make_has_every_target(line: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for word in words_of(line)[1:]:
        if "=" in word:
            assert re.search(rf"^{word.split('=')[0]} \?=", makefile, re.MULTILINE), word
        else:
            assert re.search(rf"^{word}:", makefile, re.MULTILINE), word


@pytest.mark.parametrize("line", commands("ros2"))
def test_ros2_commands_name_what_there_is(line: str) -> None:
    words = words_of(line)
    if words[1:3] == ["launch", "nav_vlm"]:
        assert (ROOT / "launch" / words[3]).is_file()
        own = (ROOT / "launch" / words[3]).read_text(encoding="utf-8")
        known = {argument.name for argument in bringup.ARGUMENTS} | set(re.findall(r'^    "(\w+)": \("', own, re.M))
        known |= set(re.findall(r'DeclareLaunchArgument\("(\w+)"', own))
        for word in words[4:]:
            name, separator, _ = word.partition(":=")
            assert word == "--show-args" or separator, word
            assert not separator or name in known, word
    if words[1] == "topic":
        topic = next(word for word in words[3:] if word.startswith("/"))
        interfaces = (ROOT / "docs/interfaces.md").read_text(encoding="utf-8")
        assert f"`{topic[1:]}`" in interfaces, topic


def test_the_readme_shows_how_to_start_everything() -> None:
    lines = list(code_lines(ROOT / "README.md"))
    for start in ("make demo", "make test", "cd ros2_ws && colcon build", "ros2 launch nav_vlm bringup.launch.py"):
        assert any(line.startswith(start) for line in lines), start
    for name in cli.COMMANDS:
        assert f"nav-vlm {name}" in (ROOT / "README.md").read_text(encoding="utf-8"), name


@pytest.mark.parametrize("line", [line for line in code_lines(ROOT / "README.md") if line.startswith("nav-vlm parse")])
def test_the_readmes_sentences_are_understood(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(words_of(line)[1:]) == 0
    assert capsys.readouterr().out


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_links_lead_somewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|href)="([^"]+)"', text):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        assert there.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", there.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}
            assert anchor in slugs, target


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_files_in_backticks_exist(path: Path) -> None:
    for span in re.findall(r"`([^`\n]+)`", path.read_text(encoding="utf-8")):
        if re.fullmatch(r"(nav_vlm_node|training|tools|tests|docs|config|launch|ros2_ws|models)/[\w./-]+", span):
            if span.startswith("models/mine"):
                continue
            assert (ROOT / span).exists(), span


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_interfaces", ROOT / "tools" / "make_interfaces.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_interface_tables_are_up_to_date(
    tool: ModuleType, ros_domain: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tool.main(["--check"]) == 0, capsys.readouterr().out


def test_a_table_that_is_not_what_the_code_gives_is_found(
    tool: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "docs").mkdir()
    page = tmp_path / "docs" / "page.md"
    page.write_text("a\n<!-- interface: commands -->\nold\n<!-- end interface -->\nb\n")
    assert tool.main(["--check"], root=tmp_path) == 1
    assert "-old" in capsys.readouterr().out
    assert tool.main([], root=tmp_path) == 0
    assert tool.main(["--check"], root=tmp_path) == 0
    text = page.read_text()
    assert text.startswith("a\n<!-- interface: commands -->\n| command |")
    assert text.endswith("|\n<!-- end interface -->\nb\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<!-- interface: nonsense -->\n<!-- end interface -->\n", "give one of topics"),
        ("<!-- interface: topics -->\n", "has no `<!-- end interface -->`"),
    ],
)
def test_a_bad_mark_is_one_line(
    text: str, message: str, tool: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "README.md").write_text(text)
    assert tool.main([], root=tmp_path) == 2
    error = capsys.readouterr().err
    assert error.startswith("make_interfaces: error: ")
    assert error.count("\n") == 1
    assert message in error


def test_every_field_of_every_message_is_in_the_tables(tool: ModuleType) -> None:
    table = tool.messages()
    for path in tool.MESSAGES.rglob("*.*"):
        if path.suffix not in (".msg", ".srv", ".action"):
            continue
        for line in path.read_text(encoding="utf-8").splitlines():
            declared = line.partition("#")[0].split()
            if len(declared) == 2:
                assert f"`{declared[1].replace('=', ' = ')}`" in table, f"{path.name}: {line}"
