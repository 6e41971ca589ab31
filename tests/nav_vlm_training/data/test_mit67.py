from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nav_vlm_node.errors import UserError
from nav_vlm_training.data.mit67 import open_indoor67, picture_names, read_list, survey
from nav_vlm_training.data.pictures import PictureFolder
from nav_vlm_training.data.reading import numbered_lines
from tests.nav_vlm_training.data.fuzz import FUZZ
from tests.nav_vlm_training.indoor67 import make_indoor67, make_picture, pixels_of


@pytest.mark.parametrize("inner", ["", "Images"])
def test_the_lists_name_the_splits(tmp_path: Path, inner: str) -> None:
    names = make_indoor67(tmp_path, each=3)
    indoor = open_indoor67(tmp_path / inner)
    assert {split: len(found) for split, found in indoor.lists.items()} == {"train": 6, "test": 3}
    assert [indoor.split_of(name) for name in names[:3]] == ["train", "train", "test"]
    assert indoor.split_of("corridor/else.jpg") == ""
    assert not indoor.remarks
    assert indoor.find("Images/" + names[0]) == names[0]
    assert indoor.find("else/" + names[0]) is None


def test_odd_lines_of_a_list_are_reported(tmp_path: Path) -> None:
    make_indoor67(tmp_path, each=2)
    (tmp_path / "TrainImages.txt").write_bytes(
        b"corridor/corridor_00.jpg\n\n../x.jpg\ncorridor/none.jpg\n\xff\x81\ncorridor/corridor_01.jpg\n"
    )
    indoor = open_indoor67(tmp_path)
    assert [str(remark) for remark in indoor.remarks] == [
        "TrainImages.txt:3: its path '../x.jpg' is outside the pictures' folder; left out",
        "TrainImages.txt:4: corridor/none.jpg is not there; left out",
        "TrainImages.txt:5: its bytes are no text; left out",
        "TrainImages.txt: corridor/corridor_01.jpg is in TestImages.txt too; taken as test",
    ]
    assert indoor.split_of("corridor/corridor_01.jpg") == "test"


def test_any_folder_of_pictures_will_do_and_none_will_not(tmp_path: Path) -> None:
    make_picture(tmp_path / "a.jpg")
    indoor = open_indoor67(tmp_path)
    assert (indoor.find("a.jpg"), indoor.lists) == ("a.jpg", {})
    with pytest.raises(UserError, match="no folder of pictures at"):
        open_indoor67(tmp_path / "none")


def test_a_survey_names_what_is_broken_grey_or_twice_there(tmp_path: Path) -> None:
    make_indoor67(tmp_path, each=2, rooms=["hall"])
    folder = tmp_path / "Images" / "hall"
    (folder / "broken.jpg").write_bytes((folder / "hall_00.jpg").read_bytes()[:300])
    Image.fromarray(pixels_of("g")).convert("L").save(folder / "grey.jpg")
    (folder / "twice.jpg").write_bytes((folder / "hall_01.jpg").read_bytes())
    (folder / "notes.txt").write_text("no picture")
    names = picture_names(tmp_path / "Images")
    found = {remark.where: remark for remark in survey(tmp_path / "Images", names) if remark}
    assert set(found) == {"hall/broken.jpg", "hall/grey.jpg", "hall/twice.jpg"}
    assert "is broken" in found["hall/broken.jpg"].why
    assert "mode L" in found["hall/grey.jpg"].why
    assert "the same as hall/hall_01.jpg" in found["hall/twice.jpg"].why
    assert [remark.left_out for remark in found.values()] == [True, False, False]


@FUZZ
@given(
    data=st.one_of(
        st.binary(max_size=120), st.lists(st.sampled_from([b"a/1.jpg", b"\n", b"/", b"\x00", b"\xff"])).map(b"".join)
    )
)
def test_every_line_of_a_list_is_found_or_reported(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp()
    make_picture(folder / "lists" / "a" / "1.jpg")
    (folder / "list.txt").write_bytes(data)
    found, remarks = read_list(folder / "list.txt", PictureFolder(folder / "lists"))
    assert len(found) + len(remarks) == len(list(numbered_lines(data)))
