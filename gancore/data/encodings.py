"""Which encoding bytes of text are in, guessed from what they would read as: for texts that say nothing of it themselves."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable

LOOKED_AT = 1 << 16
"""Bytes that a guess is made from."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

_WORD = re.compile(r"[^\W\d_]+")
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")

# What iconv and editors call them.
_NAMES = {
    "utf-16": "UTF-16",
    "utf-16-le": "UTF-16LE",
    "utf-16-be": "UTF-16BE",
    "utf-32": "UTF-32",
    "utf-8": "UTF-8",
    "utf-8-sig": "UTF-8",
    "cp932": "SHIFT_JIS",
    "euc_jp": "EUC-JP",
    "gb18030": "GB18030",
    "big5": "BIG5",
    "cp949": "CP949",
    "cp1251": "WINDOWS-1251",
    "koi8_r": "KOI8-R",
    "cp1252": "WINDOWS-1252",
    "latin-1": "ISO-8859-1",
}


def likely_encoding(data: bytes) -> str:
    """The codec that `data`, of which the beginning is looked at, most likely needs; `latin-1` where nothing else fits.

    A byte order mark decides, then zero bytes as UTF-16 has them, then whether it is UTF-8. Of other encodings that is
    taken in which most characters beyond ASCII are common ones, in the company that they usually keep.
    """
    return _guess(data) or ("latin-1" if _decoded(data[:LOOKED_AT], "cp1252", False) is None else "cp1252")


def foreign_encoding(data: bytes) -> str | None:
    """The codec of text that was written in another encoding than UTF-8, as far as it can be told.

    None for UTF-8, with mistakes in it or without, and for what is no text or too short to say.
    """
    text = data[:LOOKED_AT].decode("utf-8", errors="replace")
    beyond, bad = sum(letter > "\x7f" for letter in text), text.count("\ufffd")
    codec = _guess(data)
    if beyond > 2 * bad or codec.startswith("utf-8") or (beyond < 4 and codec != "cp1252"):
        return None
    return codec or None


def _guess(data: bytes) -> str:
    """As `likely_encoding`, but an empty text where nothing fits."""
    whole = len(data) <= LOOKED_AT
    data = data[:LOOKED_AT]
    for mark, codec in _MARKS:
        if data.startswith(mark):
            return codec
    if wide := _without_mark(data):
        return wide
    if _decoded(data, "utf-8", whole) is not None:
        return "utf-8"
    best, most = "", 0.5
    for codec, share in _NATURAL.items():
        text = _decoded(data, codec, whole)
        natural = 0.0 if text is None else share(text)
        if natural > most:
            best, most = codec, natural
    return best


def decode(data: bytes) -> str:
    """The text in the encoding that is likely; what is no character of it becomes a replacement character."""
    return data.decode(likely_encoding(data), errors="replace")


def name_of(codec: str) -> str:
    """What iconv calls the encoding."""
    return _NAMES[codec]


def how_to_convert(codec: str) -> str:
    """What a user can do with a file in that encoding, where only UTF-8 is read."""
    return f"convert it: iconv -f {name_of(codec)} -t UTF-8 OLD > NEW, or save it as UTF-8 in an editor"


def _without_mark(data: bytes) -> str:
    """UTF-16 of mostly Latin letters, which has a zero in every second byte; an empty text where it is not."""
    pairs = len(data) // 2
    even, odd = data[::2].count(0), data[1::2].count(0)
    if pairs and 2 * max(even, odd) > pairs and 10 * min(even, odd) <= pairs:
        return "utf-16-le" if odd > even else "utf-16-be"
    return ""


def _decoded(data: bytes, codec: str, whole: bool) -> str | None:
    """The text, or None where it is something else; where it is not `whole` it may break off within a character."""
    try:
        return codecs.getincrementaldecoder(codec)().decode(data, final=whole)
    except UnicodeDecodeError:
        return None


def _share_of_common(
    codec: str, common: Callable[[bytes], bool], least: int = 1, kana: float = 0.0
) -> Callable[[str], float]:
    """For an encoding of ideographs: those that are common and have no Latin letter beside them, as a share of all.

    None are where there are fewer than `least` of them, or a smaller share of them is kana.
    """

    def share(text: str) -> float:
        found = good = 0
        for match in _BEYOND_ASCII.finditer(text):
            at = match.start()
            beside = text[max(at - 1, 0) : at] + text[at + 1 : at + 2]
            alone = not any(one.isascii() and one.isalpha() for one in beside)
            found += 1
            good += alone and common(text[at].encode(codec, errors="replace"))
        if good < least or sum("\u3040" <= letter <= "\u30ff" for letter in text) < kana * found:
            return 0.0
        return good / found

    return share


def _share_in_words(*, latin: bool, worth: float = 1.0) -> Callable[[str], float]:
    """For an alphabet: letters in words of small letters, that may begin with a capital, as a share; capitals count less.

    Latin words beyond ASCII have letters of ASCII too, Cyrillic ones have none.
    """

    def share(text: str) -> float:
        found = good = 0.0
        for match in _WORD.finditer(text):
            word = match[0]
            if word.isascii():
                continue
            beyond = sum(not letter.isascii() for letter in word)
            found += beyond
            if latin:
                fits = beyond < len(word) and all(ord(letter) < 0x180 for letter in word)
            else:
                fits = beyond == len(word) > 1 and all("\u0400" <= letter < "\u0500" for letter in word)
            if fits and (word[1:] or word).islower():
                good += beyond
            elif fits and word.isupper():
                good += 0.8 * beyond
        return worth * good / found if found else 0.0

    return share


def _double(first: int, last: int, *others: int) -> Callable[[bytes], bool]:
    """Two bytes, the first of which is in the range, or one of the others, and the second beyond 160."""
    return lambda code: len(code) == 2 and code[1] > 0xA0 and (first <= code[0] <= last or code[0] in others)


# Of encodings that fit equally well the first is taken.
_NATURAL: dict[str, Callable[[str], float]] = {
    "cp932": _share_of_common("cp932", lambda code: len(code) == 2 and 0x81 <= code[0] <= 0x98),
    # Japanese has kana in every sentence; short words in Korean bytes are as likely Chinese ones.
    "euc_jp": _share_of_common("euc_jp", _double(0xB0, 0xCF, 0xA1, 0xA4, 0xA5), kana=0.3),
    "cp949": _share_of_common("cp949", _double(0xB0, 0xC8), least=3),
    "gb18030": _share_of_common("gb18030", _double(0xB0, 0xD7, 0xA1, 0xA3)),
    "big5": _share_of_common("big5", lambda code: len(code) == 2 and 0xA1 <= code[0] <= 0xC6),
    "cp1251": _share_in_words(latin=False),
    # Its small letters are the capitals of the other, which is far more frequent.
    "koi8_r": _share_in_words(latin=False, worth=0.75),
    "cp1252": _share_in_words(latin=True),
}
