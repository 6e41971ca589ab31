"""Dividing questions into splits by what they show, never by question; and the proof that no split leaks into another.

Whatever shares a picture, a scene or the very same pixels is one group, and a group is in one split.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from nav_vlm_node.errors import UserError

SHARES = {"train": 0.8, "val": 0.1, "test": 0.1}
UNITS = ("scene", "image", "room")  # what is divided as one piece; a scene that is not known is its picture
ANEW = "divide anew: --splits train=0.8,val=0.1,test=0.1"


@dataclass(frozen=True)
class Shown:
    """What one question shows. images: its picture and those before it. pixels: their hashes, in the same order."""

    scene: str
    images: tuple[str, ...]
    pixels: tuple[str, ...]


@dataclass(frozen=True)
class Leak:
    """Something that is in more than one split. what: "scene", "path" or "pixels"."""

    what: str
    key: str
    splits: tuple[str, ...]
    images: tuple[str, ...]

    def __str__(self) -> str:
        seen = ", ".join(self.images[:2])
        thing = {"scene": f"scene {self.key}", "path": f"picture {self.key}"}.get(self.what, f"what {seen} show")
        return f"{thing} is in {' and '.join(self.splits)}"


def leaks(shown: Sequence[Shown], splits: Sequence[str], *, by_scene: bool = True) -> list[Leak]:
    """Everything that is in more than one split: by scene, by path, by the pixels' hash. Empty: it is proven that
    nothing is. by_scene: False where pictures of one scene may be in different splits.
    """
    where: defaultdict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for one, split in zip(shown, splits, strict=True):
        if by_scene:
            where["scene", one.scene].setdefault(split, one.images[0])
        for image, pixels in zip(one.images, one.pixels, strict=True):
            where["path", image].setdefault(split, image)
            where["pixels", pixels].setdefault(split, image)
    return [
        Leak(what, key, tuple(found), tuple(found.values())) for (what, key), found in where.items() if len(found) > 1
    ]


def groups(keys: Sequence[Iterable[Hashable]]) -> list[int]:
    """For each item the number of its group; items that share a key, directly or through others, are in one."""
    leader = list(range(len(keys)))

    def find(item: int) -> int:
        while leader[item] != item:
            leader[item] = leader[leader[item]]
            item = leader[item]
        return item

    first: dict[Hashable, int] = {}
    for item, own in enumerate(keys):
        for key in own:
            a, b = find(first.setdefault(key, item)), find(item)
            leader[max(a, b)] = min(a, b)
    return [find(item) for item in range(len(keys))]


def keys_of(one: Shown, room: str, unit: str) -> list[tuple[str, str]]:
    """What a question shares with others that must not be in another split. unit: of UNITS."""
    keys = [*(("path", image) for image in one.images), *(("pixels", pixels) for pixels in one.pixels)]
    if unit != "image":
        keys.append(("scene", one.scene))
    return [*keys, ("room", room)] if unit == "room" else keys


def by_lists(group: Sequence[int], named: Sequence[str]) -> list[str]:
    """The split of each item by the lists that name its picture: "test" for its whole group, else "train"."""
    test = {number for number, split in zip(group, named, strict=True) if split == "test"}
    return ["test" if number in test else "train" for number in group]


def assign(
    group: Sequence[int], shares: Mapping[str, float], seed: int, given: Sequence[str] = (), names: Sequence[str] = ()
) -> list[str]:
    """The split of each item, by its group; about `shares` of the items are in each split, and no split is empty.

    given: per item the split that it must be in, "" for any. names: of the items, for messages. Raises UserError for
    shares that make no sense, too few groups, or a group that is to be in two splits.
    """
    check_shares(shares)
    size: defaultdict[int, int] = defaultdict(int)
    split_of: dict[int, str] = {}
    first: dict[int, int] = {}  # group -> the item that its split is from
    for item, number in enumerate(group):
        size[number] += 1
        if given and given[item] and split_of.setdefault(number, given[item]) != given[item]:
            named = f" ({names[first[number]]}, {names[item]})" if names else ""
            both = f"{split_of[number]} and {given[item]}"
            raise UserError(f"the source puts what shows the same into {both}{named}; {ANEW}")
        if given and given[item]:
            first.setdefault(number, item)
    free = [number for number in size if number not in split_of]
    random.Random(seed).shuffle(free)
    wanted = [split for split in shares if shares[split] > 0]
    empty = [split for split in wanted if split not in split_of.values()]
    if free and len(free) < len(empty):
        raise UserError(
            f"{len(free)} pictures or scenes cannot be divided into {len(empty)} splits ({', '.join(empty)}); "
            "give fewer splits, or more data"
        )
    total = sum(size.values())
    have = dict.fromkeys(wanted, 0)
    for number, split in split_of.items():
        have[split] = have.get(split, 0) + size[number]
    for number in free:
        split = empty.pop(0) if empty else max(wanted, key=lambda name: shares[name] * total - have[name])
        split_of[number] = split
        have[split] += size[number]
    return [split_of[number] for number in group]


def check_shares(shares: Mapping[str, float]) -> None:
    """Raises UserError for shares that are none."""
    good = all(0 <= share <= 1 for share in shares.values()) and abs(sum(shares.values()) - 1) < 1e-6
    if not good or not all(name.strip() for name in shares):
        given = ",".join(f"{name}={share:g}" for name, share in shares.items())
        raise UserError(f"the shares {given} must be between 0 and 1 and add up to 1, as train=0.8,val=0.1,test=0.1")
