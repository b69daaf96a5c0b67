"""What the folders of a data set say: which part of it (train, test) a file belongs to, and of which class it is.

Every plugin that reads folders goes by the rules here, so that one layout means the same for pictures, sounds, tunes and texts.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from gancore.data.report import Skipped
from gancore.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

LONGEST = 30
"""As many letters of a class's name are shown in a line."""
Labels = bool | Literal["auto"]

Part = Annotated[
    str,
    Field(
        min_length=1,
        max_length=255,
        description="If all top folders are parts of a data set (train, test, val, dev ...) rather than classes: the one to"
        " use, by name; auto: the training part, or all parts if there is none; all: every part.",
    ),
]
"""The option `part` of a data set of files."""

_PART = re.compile(
    r"(?P<train>train(ing)?|trn)?(?(train)|(test(ing)?|tst|val(id(ation)?)?|dev(el(opment)?)?|eval(uation)?|h[eo]ld[-_ ]?out))"
    r"([-_ ]?(set|split|part|data|files|images|pictures))?[-_ ]?[0-9]{0,4}",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Content:
    """What samples of any domain show, such as the digit in two kinds of handwriting: `numbers` `[len]` int64 into `names`."""

    numbers: Tensor
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """What was made of files by the folders that they lie in.

    `taken` are the numbers of the files that are used, rising, and `words` the class of each, all None where folders are no
    classes. `inner` are the folders within those of classes, None where a file lies in none. `skipped` are files that lie beside
    the folders, `notes` what a report should say. Files of a part that is left out are in neither.
    """

    taken: tuple[int, ...]
    words: tuple[str | None, ...]
    inner: tuple[str | None, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()


def lay_out(
    names: Sequence[str],
    *,
    source: object,
    archive: bool = False,
    part: str = "auto",
    labels: Labels = "auto",
    suffixes: Collection[str] = (),
) -> Layout:
    """Which files of a data set are taken, and of which class they are.

    Two or more top folders are classes, and files beside them are skipped, unless with labels=auto there are as many of these
    as in the folders. Where all top folders are called train, test and the like, they are parts: the one for training is taken,
    and classes are looked for below it; with labels=true they are classes if there are none below. An archive often holds one
    folder, and in it what was meant: it then does not count.

    Args:
        names: Paths of the files inside the data set, with forward slashes.
        source: The data set as errors name it.
        archive: Whether it is an archive.
        part: The option `part`.
        labels: Whether folders are classes; auto: where there are two or more.
        suffixes: By which files of the kind are known, in small letters: where there are such files, others make no layout.

    Raises:
        UsageError: there is no part of this name.
    """
    paths = [tuple(name.split("/")) for name in names]
    telling = [path for path in paths if PurePosixPath(path[-1]).suffix.lower() in suffixes] or paths
    around = _around(telling)
    depth = around if archive or _parts(telling, around) else 0
    parts = _parts(telling, depth)
    prefix = telling[0][:depth] if telling else ()
    # Of the path of each file, what is below the folders around all; nothing for one that lies outside of these.
    paths = [path[depth:] if path[:depth] == prefix else () for path in paths]
    telling = [path[depth:] for path in telling]
    if not parts:
        if part not in ("auto", "all"):
            tops = ", ".join(sorted({path[0] for path in telling if len(path) > 1})[:10]) or "none"
            raise UsageError(
                f"data set '{source}': part is '{part}', but its top folders ({tops}) are not all parts like train and test; "
                f"pass the folder itself as data, or remove data.part"
            )
        return _by_class(names, paths, range(len(paths)), telling, labels)
    chosen = _chosen(parts, part, source)
    below = [path[1:] for path in telling if len(path) > 1 and path[0] in chosen]
    if labels is True and len({path[0] for path in below if len(path) > 1}) < 2:
        return _by_class(names, paths, range(len(paths)), telling, labels)
    inside = [len(path) > 1 and path[0] in parts for path in paths]
    taken = [number for number, path in enumerate(paths) if inside[number] and path[0] in chosen]
    layout = _by_class(names, [path[1:] for path in paths], taken, below, labels)
    reason = f"beside the {_folders(parts)}"
    beside = tuple(Skipped(names[number], reason) for number in range(len(names)) if not inside[number])
    one = len(parts) == 1
    note = f"{_folders(parts)} {'is a part' if one else 'are parts'} of the data set, not {'a class' if one else 'classes'}"
    if len(chosen) < len(parts):
        others = sorted(parts - chosen)
        left = sum(inside) - len(taken)
        note += f": {_listed(sorted(chosen))} is used, {_listed(others)} left out ({_files(left)}; data.part=all uses them all)"
    elif len(parts) > 1:
        note += ", and all are used"
    return replace(layout, skipped=(*beside, *layout.skipped), notes=(note, *layout.notes))


def number_classes(
    words: Sequence[str | None], *, labels: Labels, source: object, todo: str
) -> tuple[tuple[str, ...], list[int] | None]:
    """The classes, sorted, and the number of each sample's, out of the `words` for them; none and None where there are no two.

    Raises:
        UsageError: there are none, with labels=true; `todo` says what to do then.
    """
    classes = tuple(sorted({word for word in words if word is not None}))
    if labels is not False and len(classes) > 1 and None not in words:
        numbers = {name: number for number, name in enumerate(classes)}
        return classes, [numbers[word] for word in words if word is not None]
    if labels is True:
        found = f"there is only '{classes[0]}'" if classes else "there is none"
        raise UsageError(f"data set '{source}': labels need at least two classes, but {found}; {todo}")
    return (), None


# --- layouts ----------------------------------------------------------------------------------------------------------


def _around(paths: Sequence[tuple[str, ...]]) -> int:
    """How many folders lie around all others."""
    depth = 0
    while paths and all(len(path) > depth + 2 for path in paths) and len({path[depth] for path in paths}) == 1:
        if _parts(paths, depth):
            break
        depth += 1
    return depth


def _parts(paths: Sequence[tuple[str, ...]], depth: int) -> set[str]:
    """The folders at this depth, if all of them are parts of a data set by their names."""
    tops = {path[depth] for path in paths if len(path) > depth + 1}
    return tops if all(map(_PART.fullmatch, tops)) else set()


def _chosen(parts: set[str], part: str, source: object) -> set[str]:
    if part == "auto":
        return {name for name in parts if (found := _PART.fullmatch(name)) and found["train"]} or parts
    if part == "all":
        return parts
    if part not in parts:
        raise UsageError(f"data set '{source}': part is '{part}', but there are {_listed(sorted(parts))}, auto and all")
    return {part}


def _by_class(
    names: Sequence[str],
    paths: Sequence[tuple[str, ...]],
    taken: Sequence[int],
    telling: Sequence[tuple[str, ...]],
    labels: Labels,
) -> Layout:
    """The layout of the files `taken`, whose classes are the first folders of their `paths`."""
    nothing = Layout(tuple(taken), (None,) * len(taken), (None,) * len(taken))
    if labels is False:
        return nothing
    inside = [path[0] for path in telling if len(path) > 1]
    loose = len(telling) - len(inside)
    classes = sorted(set(inside))
    if len(classes) < 2:
        if labels == "auto":
            return nothing
        # The one class, if there is one, is for `number_classes` to name.
        return replace(nothing, words=tuple(paths[number][0] if len(paths[number]) > 1 else None for number in taken))
    if labels == "auto" and loose >= len(inside):
        note = (
            f"{_folders(classes)} are not used as classes, because {_files(loose)} {'lies' if loose == 1 else 'lie'} beside them; "
            "set data.labels=true to use only the files in them"
        )
        return replace(nothing, notes=(note,))
    within = [number for number in taken if len(paths[number]) > 1]
    beside = (number for number in taken if len(paths[number]) <= 1)
    return Layout(
        tuple(within),
        tuple(paths[number][0] for number in within),
        tuple(paths[number][1] if len(paths[number]) > 2 else None for number in within),
        tuple(Skipped(names[number], "beside the folders that name the classes") for number in beside),
    )


def classes_in_words(names: Sequence[str]) -> str:
    """`9 classes (cats, dogs, fish and 6 more)`, for a line on the data; empty where there are none."""
    short = [name if len(name) <= LONGEST else f"{name[:LONGEST]}..." for name in names]
    return f"{len(names):,} class{'' if len(names) == 1 else 'es'} ({_listed(short)})" if names else ""


def _listed(names: Sequence[str]) -> str:
    shown = [*names[:3], f"{len(names) - 3:,} more"] if len(names) > 4 else list(names)
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _folders(names: Collection[str]) -> str:
    return f"folder{'' if len(names) == 1 else 's'} {_listed(sorted(names))}"


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count:,} files"
