"""Names of files that samples are written to, with the names of their classes in them, in any script and on any system."""

from __future__ import annotations

import sys
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

LONGEST = 80
"""Bytes of a class's name that are kept: file systems take 255 for a whole name, some of them 143."""
_JOINERS = "\u200c\u200d"
"""Parts of words in some scripts, and of emoji, though they are no letters."""
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{digit}" for port in ("com", "lpt") for digit in "123456789")}
_OTHERS = {"sheet", "recipes"}
"""Files that stand beside those of samples."""


def kind_of(path: Path) -> str:
    """The suffix of `path`, if it says of which kind a file is to be: `.png` of `out.png`.

    Empty for a folder that there is, and where the suffix begins with a digit, for such belong to numbers: `edit-1.5`.
    """
    return "" if path.suffix[1:2].isdigit() or path.is_dir() else path.suffix


def sample_name(
    stem: str, number: int, suffix: str, labels: Sequence[int] | None = None, classes: tuple[str, ...] = ()
) -> str:
    """`<stem>-00012.png`, or `<stem>-00012-cat.png` for sample 12 of samples with `labels`."""
    part = "" if labels is None else f"-{class_part(int(labels[number]), classes)}"
    return f"{stem}-{number:05d}{part}{suffix}"


def renamed(files: Sequence[Path], names: Sequence[str]) -> list[Path]:
    """`files` of samples, after `names` in turn: `cat.png`, and `cat-2.png` for the next sample that is called so.

    What a system, a sheet or the recipes need as a name gets a `_`, and names that are too long lose their end.
    """
    given = Names()
    made = [file.with_name(given.new(names[n % len(names)], file.suffix)) for n, file in enumerate(files)]
    # By way of names that nothing has: one file's new name may be another's old one.
    drafts = [file.rename(file.with_name(f".{number}.part")) for number, file in enumerate(files)]
    return [draft.rename(path) for draft, path in zip(drafts, made, strict=True)]


class Names:
    """Names that are given to files one after another, each once."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._met: Counter[str] = Counter()

    def new(self, name: str, suffix: str) -> str:
        """`name` and `suffix`, with a number between them where a file has that name; see `renamed`."""
        name = _own(name)
        key = f"{name}{suffix}".casefold()
        self._met[key] += 1
        made = f"{name}{suffix}"
        while self._met[key] > 1 or made.casefold() in self._taken:
            made = f"{name}-{max(2, self._met[key])}{suffix}"
            if made.casefold() not in self._taken:
                break
            self._met[key] += 1
        self._taken.add(made.casefold())
        return made


def _own(name: str) -> str:
    kept = name.encode(errors="replace")[:LONGEST].decode(errors="ignore")
    return f"{kept}_" if kept.casefold() in _RESERVED | _OTHERS else kept


def class_part(label: int, classes: tuple[str, ...]) -> str:
    """The class `label` as a part of a file's name: no two classes have the same, not even where capitals make no difference.

    Letters, digits and signs of all scripts stay, as NFC; what has a meaning to a shell or a file system, and white space,
    becomes `_`. A class `3`, or one of which nothing is left, is written `class3`, by its name or its number.
    """
    return _parts(classes)[label] if 0 <= label < len(classes) else f"class{label}"


@lru_cache(maxsize=16)
def _parts(classes: tuple[str, ...]) -> tuple[str, ...]:
    cleaned = [_clean(name, number) for number, name in enumerate(classes)]
    keys = [part.casefold() for part in cleaned]
    often = {key for key, count in Counter(keys).items() if count > 1}
    taken = set(keys)
    found = []
    for number, (part, key) in enumerate(zip(cleaned, keys, strict=True)):
        if key in often:
            part = f"{part}-{number}"
            while part.casefold() in taken:
                part += "_"
            taken.add(part.casefold())
        found.append(part)
    return tuple(found)


def _clean(name: str, number: int) -> str:
    kept = "".join(c if _stays(c) else "_" for c in unicodedata.normalize("NFC", name))
    while "__" in kept:
        kept = kept.replace("__", "_")
    kept = kept.strip("_").encode()[:LONGEST].decode(errors="ignore").rstrip("_" + _JOINERS)
    if not kept:
        return f"class{number}"
    if not (kept[0].isalpha() or (ord(kept[0]) > 127 and not kept[0].isnumeric())):
        return f"class{kept}"
    return f"{kept}_" if kept.casefold() in _RESERVED else kept


def _stays(character: str) -> bool:
    if character.isascii():
        return character.isalnum() or character in "_-+"
    try:
        character.encode(sys.getfilesystemencoding())
    except UnicodeEncodeError:
        return False
    kind = unicodedata.category(character)
    return not kind.startswith(("Z", "Cc", "Cf", "Cs")) or character in _JOINERS
