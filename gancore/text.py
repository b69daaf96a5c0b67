"""Text that people gave: read whatever their editor wrote, named in messages, and shown without what a terminal would obey."""

from __future__ import annotations

import codecs
import math
import os
import unicodedata
from pathlib import Path
from typing import Any

from gancore.errors import UsageError

LONGEST = 80
"""Of values longer than this, messages show the beginning."""
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def decoded(data: bytes) -> str:
    """The text of a file that somebody may have written with an editor: UTF-8, with a byte-order mark in front or not.

    Raises:
        ValueError: it is something else; the message completes "the file is ...".
    """
    if data.startswith(_UTF16):
        raise ValueError("not valid text: it is in UTF-16, not UTF-8; save it as UTF-8 in the editor that wrote it")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"not valid text: line {line} is not UTF-8; save it as UTF-8 in the editor that wrote it"
        ) from error


def shown(text: object) -> str:
    """`text` for a terminal: what would move its cursor or change its colours, and bytes that are no text, is spelt out.

    Line breaks and tabs stay, for messages have lines.
    """
    words = str(text)
    return words if words.isprintable() else "".join(map(_shown, words))


def _shown(character: str) -> str:
    code = ord(character)
    if character in "\n\t" or (unicodedata.category(character) not in ("Cc", "Cs", "Zl", "Zp") and not _reorders(code)):
        return character
    if 0xDC80 <= code <= 0xDCFF:  # how Python keeps a byte of a file's name that is not UTF-8
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _reorders(code: int) -> bool:
    """Whether a character makes those after it run the other way, so that a line reads as something else."""
    return 0x202A <= code <= 0x202E or 0x2066 <= code <= 0x2069


def brief(value: Any) -> str:
    """`value` as in Python, in a message: not more of it than one line can hold."""
    if isinstance(value, int) and value.bit_length() > 256:  # Python refuses to spell some of these
        return f"a number of about {int(math.log10(abs(value))) + 1:,} digits"
    try:
        words = repr(value)
    except (ValueError, RecursionError):
        words = f"a {type(value).__name__}"
    return words if len(words) <= LONGEST else f"{words[:LONGEST]}... ({len(words):,} characters)"


def fault_of_name(name: str) -> str:
    """What keeps `name`, as a person typed it, from being a file or folder of a run; empty where nothing does.

    A run keeps the paths that it needs in files of UTF-8 text, which not every name on a disk is.
    """
    if not name:
        return "is empty; give a file or folder"
    if "\0" in name:
        return "contains a NUL character, which no file name can"
    try:
        name.encode()
    except UnicodeEncodeError:
        return "is not text in UTF-8, in which a run keeps the names of its files; rename it"
    return ""


def check_path(path: str | Path, what: str) -> None:
    """Refuse what cannot be the name of a file or folder of a run, before anything is made; `what` names it in the message.

    Raises:
        UsageError: it is empty, has characters in it that cannot be, or is where nobody may look.
    """
    fault = fault_of_name(str(path))
    if not fault:
        try:
            os.stat(Path(path).expanduser())
        except (FileNotFoundError, NotADirectoryError):
            pass  # what that means is for the caller to say
        except OSError as error:
            fault = f"cannot be accessed ({error.strerror})"
        except RuntimeError:
            fault = "begins with ~, and there is no such home folder"
    if fault:
        name = shown(path) if len(str(path)) <= 2 * LONGEST else f"{shown(path)[: 2 * LONGEST]}..."
        raise UsageError(f"{what} '{name}' {fault}")
