"""Classes of recordings by a pattern of their names, and which files are chosen."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from gan_audio.data.decode import SUFFIXES
from gancore.data.files import matches

LABEL = "label"
"""The field of a pattern that names the class ..."""
CONTENT = "content"
"""... and the one that names what samples of any class show, for metrics of translations."""


@dataclass(frozen=True, slots=True)
class NamePattern:
    """How names are made: `{label}_{speaker}_{index}.wav`. A field stands for at least one character, but none is a slash.

    Read from left to right, each field is as short as it can be, and the last one takes what is left. As many folders as the
    pattern names are compared too (`{speaker}/{label}.wav`). Where it ends in the suffix of a sound, files must have the same.
    """

    text: str
    fields: tuple[str, ...]
    literals: tuple[str, ...]
    """What stands before the first field, between fields and after the last one: one more than there are fields."""
    suffix: str

    @classmethod
    def of(cls, text: str) -> NamePattern:
        """The pattern that `text` spells. Raises ValueError, whose message says what is wrong with it."""
        suffix = PurePosixPath(text).suffix.lower()
        suffix = suffix if suffix in SUFFIXES else ""
        pieces = re.split(r"\{([^{}]*)\}", text[: len(text) - len(suffix)])
        literals, fields = pieces[::2], pieces[1::2]
        if not fields:
            raise ValueError(f"the pattern '{text}' has no field; write it like {{label}}_{{speaker}}_{{index}}.wav")
        if any(brace in literal for literal in literals for brace in "{}"):
            raise ValueError(f"the pattern '{text}' has a brace without its partner")
        if odd := [field for field in fields if not field.isidentifier()]:
            raise ValueError(f"the pattern '{text}' has a field '{odd[0]}'; fields are named by letters, digits and _")
        if twice := [field for field in fields if fields.count(field) > 1]:
            raise ValueError(f"the pattern '{text}' has the field '{twice[0]}' more than once")
        if not all(literals[1:-1]):
            raise ValueError(f"the pattern '{text}' has two fields with nothing between them, so none knows its end")
        return cls(text, tuple(fields), tuple(literals), suffix)

    def match(self, name: str) -> dict[str, str] | None:
        """The fields of a file's name, a path with forward slashes; None where it does not match."""
        suffix = PurePosixPath(name).suffix
        if self.suffix and suffix.lower() != self.suffix:
            return None
        depth = sum(literal.count("/") for literal in self.literals)
        parts = name.removesuffix(suffix).split("/")[-1 - depth :]
        stem = "/".join(parts)
        first, *between, last = self.literals
        if len(parts) <= depth or not stem.startswith(first) or not stem.endswith(last):
            return None
        # The first place of each literal leaves the most to those that follow, so no other need be tried.
        begin, end = len(first), len(stem) - len(last)
        values = []
        for literal in between:
            at = stem.find(literal, begin + 1, end)
            if at < 0:
                return None
            values.append(stem[begin:at])
            begin = at + len(literal)
        values.append(stem[begin:end])
        if begin >= end or any("/" in value for value in values):
            return None
        return dict(zip(self.fields, values, strict=True))


def is_chosen(name: str, include: Sequence[str], exclude: Sequence[str]) -> bool:
    """Whether a file is matched by a glob of `include`, or there is none, and by none of `exclude`."""
    return (not include or matches(name, include)) and not matches(name, exclude)


def by_pattern(names: Sequence[str], pattern: NamePattern, field: str = LABEL) -> list[str | None]:
    """What a field of the pattern is for each file, None for one that does not match."""
    matches = map(pattern.match, names)
    return [None if found is None else found[field] for found in matches]
