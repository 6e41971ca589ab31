"""A folder of MIT Indoor 67: Images/<class>/<file>, and TrainImages.txt and TestImages.txt that name some of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nav_vlm_training.data.pictures import PictureFolder, look
from nav_vlm_training.data.reading import Odd, Remark, decode, inside, numbered_lines, raw, read_file

IMAGES = "Images"
LISTS = {"train": "TrainImages.txt", "test": "TestImages.txt"}
SUFFIXES = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff")


@dataclass(frozen=True)
class Indoor67:
    """images: finds pictures. lists: split -> the pictures that its list names, as found; {} where there is no list.

    remarks: lines of the lists that are odd or name what is not there.
    """

    images: PictureFolder
    lists: dict[str, frozenset[str]]
    remarks: list[Remark]

    def find(self, image: str) -> str | None:
        """The file that `image` means; its name may begin with the folder Images."""
        first, _, rest = image.partition("/")
        found = self.images.find(image)
        return self.images.find(rest) if found is None and rest and first == IMAGES else found

    def split_of(self, image: str) -> str:
        """The split of the list that names `image`; "" if none does."""
        return next((split for split in ("test", "train") if image in self.lists.get(split, ())), "")


def open_indoor67(folder: Path) -> Indoor67:
    """`folder` is the one with Images in it, Images itself, or any folder of pictures. Raises UserError if none."""
    inner = folder / IMAGES
    top = folder.parent if folder.name == IMAGES and not inner.is_dir() else folder
    images = PictureFolder(inner if inner.is_dir() else folder)
    lists: dict[str, frozenset[str]] = {}
    remarks: list[Remark] = []
    for split, name in LISTS.items():
        if (top / name).is_file():
            found, odd = read_list(top / name, images)
            lists[split] = frozenset(found)
            remarks += odd
    both = sorted(lists.get("train", frozenset()) & lists.get("test", frozenset()))
    remarks += [
        Remark(LISTS["train"], f"{name} is in {LISTS['test']} too; taken as test", left_out=False) for name in both
    ]
    return Indoor67(images, lists, remarks)


def read_list(path: Path, images: PictureFolder) -> tuple[list[str], list[Remark]]:
    """The pictures that the lines of a list name, as found, and remarks on the other lines. UserError: no such file."""
    found: list[str] = []
    remarks: list[Remark] = []
    for number, line in numbered_lines(read_file(path)):
        where = f"{path.name}:{number}"
        try:
            text, _ = decode(line)
            name = inside(text, "path")
            there = images.find(name)
            if there is None:
                raise Odd(f"{raw(name)} is not there")
            found.append(there)
        except Odd as error:
            remarks.append(Remark(where, str(error), raw=raw(line)))
    return found, remarks


def picture_names(folder: Path) -> list[str]:
    """All files that look like pictures by their suffix, relative to `folder`, in order."""
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and path.is_file()
    )


def survey(folder: Path, names: list[str]) -> Iterator[Remark | None]:
    """Looks at each picture: a remark by name for what is broken or not plain RGB, None for what is in order."""
    first: dict[str, str] = {}
    for name in names:
        try:
            facts = look(folder / name)
        except Odd as error:
            yield Remark(name, str(error))
            continue
        same = first.setdefault(facts.pixels, name)
        why = f"not plain RGB ({facts.converted}): converted where it is used" if facts.converted else ""
        why = why or (f"shows the same as {same}" if same != name else "")
        yield Remark(name, why, left_out=False) if why else None
