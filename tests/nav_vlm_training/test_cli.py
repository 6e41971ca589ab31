from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

from nav_vlm_training import cli


@pytest.mark.parametrize("name", sorted(cli.COMMANDS))
def test_every_subcommand_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        cli.main([name, "--help"])
    assert raised.value.code == 0
    assert "usage: nav-vlm-train " + name in capsys.readouterr().out


@pytest.mark.parametrize("name", sorted(cli.COMMANDS))
def test_the_list_of_commands_says_what_each_says(name: str) -> None:
    module, help_ = cli.COMMANDS[name]
    assert help_ == import_module(module).HELP


def test_help_and_bad_arguments_do_not_load_the_model_libraries() -> None:
    code = (
        "import sys\nfrom nav_vlm_training import cli\n"
        "for words in (['embedded', '--help'], ['evaluate', '--help'], ['card', '--help'], ['embedded', '--no']):\n"
        "    try:\n        cli.main(words)\n    except SystemExit:\n        pass\n"
        "print(sorted({'torch', 'transformers', 'cv2', 'matplotlib', 'mujoco'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_no_command_is_helped(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        cli.main([])
    assert raised.value.code == 2
    assert "evaluate" in capsys.readouterr().out


def test_an_unknown_command_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["evalute"]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("nav-vlm-train: error: ")
    assert printed.count("\n") == 1
