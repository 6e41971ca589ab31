"""`nav-vlm record`: what cannot be is said in one line before anything is made."""

from __future__ import annotations

from pathlib import Path

import pytest

from nav_vlm_node.cli import main


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--image-rate", "-1"], "give up to 1000 images a second"),
        (["--image-rate", "nan"], "give up to 1000 images a second"),
        (["--jpeg", "101"], "give 1 to 100"),
        (["--jpeg", "0"], "give 1 to 100"),
        (["--jpeg", "90", "--image-transport", "compressed"], "leave it out"),
        (["--image-topic", "two words"], "no topic name"),
        (["--image-topic", "/küche/image"], "no topic name"),
        (["--namespace", "two words"], "namespace 'two words' is not valid"),
        (["--rig", "gopro"], "there is no rig 'gopro'"),
        (["--storage", "rosbag1"], "invalid choice"),
    ],
)
def test_bad_words(words: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["record", str(tmp_path / "bag"), *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("nav-vlm: error: ")
    assert err.count("\n") == 1
    assert says in err
    assert not (tmp_path / "bag").exists()
