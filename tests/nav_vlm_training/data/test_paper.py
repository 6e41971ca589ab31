from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nav_vlm_node.errors import UserError
from nav_vlm_training.data.paper import read_json, read_text
from nav_vlm_training.data.reading import Reading, numbered_lines
from tests.nav_vlm_training.data.fuzz import FUZZ, LEAF, VALUE, refusal


def text(tmp_path: Path, data: str | bytes) -> Reading:
    path = tmp_path / "airport.txt"
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return read_text([path])


@pytest.mark.parametrize(
    ("line", "image", "question", "answer"),
    [
        ("a/1.jpg;Q:Where is it;A:Ahead.", "a/1.jpg", "Where is it", "Ahead."),
        ("a/1 copy.jpg;Q: How  can I leave ;A: Go straight. ", "a/1 copy.jpg", "How can I leave", "Go straight."),
        ("a/1.jpg;Q:Where is it;A:Move forward; it’s left.", "a/1.jpg", "Where is it", "Move forward; it’s left."),
        ("a/1.jpg;Q:Door; or stairs;A:Ahead.", "a/1.jpg", "Door; or stairs", "Ahead."),
        ("a\\1.jpg;q:Where;a:Ahead.", "a/1.jpg", "Where", "Ahead."),
        ("./a/1.jpg;Q:Where;A:Ahead.\r", "a/1.jpg", "Where", "Ahead."),
        ("\ufeffa/1.jpg;Q:Where;A:Ahead.", "a/1.jpg", "Where", "Ahead."),
    ],
)
def test_a_line_is_read_as_it_was_meant(tmp_path: Path, line: str, image: str, question: str, answer: str) -> None:
    reading = text(tmp_path, line + "\n")
    assert not reading.remarks
    (pair,) = reading.pairs
    assert (pair.image, pair.question, pair.text, pair.room) == (image, question, answer, "a")
    assert pair.where == "airport.txt:1"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("nothing of the sort", "not like path;Q:question;A:answer"),
        ("a/1.jpg;Where;A:Ahead.", "no ';Q:'"),
        ("a/1.jpg;Q:Where", "no ';A:'"),
        ("a/1.jpg;Q:Where;A:", "answer is empty"),
        (";Q:Where;A:Ahead.", "path is empty"),
        ("a/1.jpg;A:Ahead.;Q:Where", "answer stands before its question"),
        ("a/1.jpg;Q:Where;A:Ahead.a/2.jpg;Q:Where;A:Left.", "';Q:' 2 times"),
        ("../1.jpg;Q:Where;A:Ahead.", "outside the pictures' folder"),
        ("/etc/1.jpg;Q:Where;A:Ahead.", "outside the pictures' folder"),
        ("a/1.jpg;Q:Where;A:" + "left " * 500, "longer than 2000 characters"),
        ("a/1.jpg;Q:Wh\x00ere;A:Ahead.", "characters that are no text"),
    ],
)
def test_an_odd_line_is_reported_with_its_place_and_kept(tmp_path: Path, line: str, why: str) -> None:
    reading = text(tmp_path, f"\n\na/0.jpg;Q:Where;A:Ahead.\n{line}\n")
    (remark,) = reading.remarks
    assert remark.where == "airport.txt:4"
    assert why in remark.why
    assert remark.left_out
    assert remark.raw == line[:200]
    assert [pair.where for pair in reading.pairs] == ["airport.txt:3"]


def test_a_repeated_line_is_reported_and_another_answer_is_kept(tmp_path: Path) -> None:
    reading = text(tmp_path, "a/1.jpg;Q:Where;A:Ahead.\na/1.jpg;Q:Where;A:Left.\na/1.jpg;Q:Where ;A:Ahead.\n")
    assert [pair.text for pair in reading.pairs] == ["Ahead.", "Left."]
    assert [str(remark) for remark in reading.remarks] == ["airport.txt:3: the same as airport.txt:1; left out"]


def test_what_windows_wrote_is_read_and_said(tmp_path: Path) -> None:
    reading = text(tmp_path, "a/1.jpg;Q:Where;A:It’s left.\n".encode("cp1252"))
    assert reading.pairs[0].text == "It’s left."
    assert [(remark.why, remark.left_out) for remark in reading.remarks] == [("not UTF-8; read as Windows-1252", False)]
    assert text(tmp_path, b"a/1.jpg;Q:\x81;A:Left.\n").remarks[0].why == "its bytes are no text"


def test_a_folder_stands_for_its_text_files(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / f"{name}.txt").write_text(f"{name}/1.jpg;Q:Where;A:Ahead.\n")
    (tmp_path / "README.md").write_text("not this")
    assert [pair.where for pair in read_text([tmp_path]).pairs] == ["a.txt:1", "b.txt:1"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"no \*.txt"):
        read_text([tmp_path / "empty"])
    with pytest.raises(UserError, match="cannot be read"):
        read_text([tmp_path / "none.txt"])


piece = st.sampled_from(
    [b";Q:", b";A:", b"a/1.jpg", b"\n", b"\r\n", b"Ahead.", b";", b"\xff", b"\x81", b"\x00", b"../"]
)
soup = st.one_of(st.binary(max_size=200), st.lists(piece, max_size=25).map(b"".join))


@FUZZ
@given(data=soup)
@example(data=b"\x0c\n\x85;Q:a;A:b\n")
@example(data="a;Q:\u2028b;A:c".encode())
def test_every_line_of_any_bytes_is_a_pair_or_a_remark(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.txt"
    path.write_bytes(data)
    reading = read_text([path])
    left_out = [remark.where for remark in reading.remarks if remark.left_out]
    assert sorted([pair.where for pair in reading.pairs] + left_out) == sorted(
        f"fuzz.txt:{number}" for number, _ in numbered_lines(data)
    )
    for pair in reading.pairs:
        assert pair.question
        assert pair.text
        assert not Path(pair.image).is_absolute()
        assert ".." not in pair.image.split("/")
    json.dumps([remark.to_json() for remark in reading.remarks])


ENTRY = {"path": "a/1.jpg", "query": "Where", "answer": "There\u2019s left."}


def test_json_by_id_or_as_a_list(tmp_path: Path) -> None:
    path = tmp_path / "update.json"
    path.write_text(json.dumps({"1": ENTRY, "7": {**ENTRY, "answer": "Ahead."}}))
    reading = read_json([path])
    assert [(pair.where, pair.text) for pair in reading.pairs] == [
        ("update.json id 1", "There’s left."), ("update.json id 7", "Ahead."),
    ]  # fmt: skip
    assert not reading.remarks
    path.write_text(json.dumps([ENTRY]))
    assert read_json([path]).pairs[0].image == "a/1.jpg"


def test_json_loses_no_entry_in_silence(tmp_path: Path) -> None:
    path = tmp_path / "update.json"
    one = json.dumps(ENTRY)
    other = json.dumps({**ENTRY, "answer": "Ahead."})
    path.write_text(f'{{"1": {one}, "1": {other}, "2": 5, "3": {{"path": "a"}}, "4": {one}}}')
    reading = read_json([path])
    assert [pair.text for pair in reading.pairs] == ["There’s left.", "Ahead."]
    assert [str(remark) for remark in reading.remarks] == [
        "update.json id 1: its id is there twice",
        'update.json id 2: it is no object with "path", "query" and "answer"; left out',
        "update.json id 3: its question is missing; left out",
        "update.json id 4: the same as update.json id 1; left out",
    ]


@pytest.mark.parametrize("data", [b"", b"{", b"5", b'"a"', b"\xff\xfe\x00", b"[" * 100_000, b'{"1": NaN}', b"[1e999]"])
def test_what_is_no_such_json_is_one_line(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "update.json"
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"update.json is no") as raised:
        read_json([path])
    assert "\n" not in str(raised.value)


entry = st.one_of(VALUE, st.fixed_dictionaries({"path": LEAF, "query": LEAF, "answer": LEAF}))


@FUZZ
@given(entries=st.dictionaries(st.text(max_size=4), entry, max_size=5))
def test_every_entry_of_any_json_is_a_pair_or_a_remark(
    entries: dict[str, object], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.json"
    path.write_text(json.dumps(entries))
    reading = read_json([path])
    assert len(reading.pairs) + sum(remark.left_out for remark in reading.remarks) == len(entries)
    json.dumps([remark.to_json() for remark in reading.remarks]).encode("utf-8")


@FUZZ
@given(data=st.binary(max_size=200))
def test_any_bytes_as_json_are_read_or_refused(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "bytes.json"
    path.write_bytes(data)
    assert "\n" not in refusal(read_json, [path])
