"""Texts as token ids, many at a time: what a tokenizer of the data gives, without encoding the same word twice.

How a word becomes tokens does not depend on what stands beyond the plain space before it or after it. So the stretches
between such spaces are encoded once and looked up after that, which is several times as fast as the tokenizer alone.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain

import numpy as np
from tokenizers import Tokenizer

from gan_text.spec import Kind, parsed

MOST_KEPT = 1 << 22
"""So many characters of stretches are kept before all are forgotten, to bound the memory."""
_CUT = re.compile(r"(?<=\S) (?=\S)")
_TOGETHER = 256
"""So many texts are cut into stretches at once."""
_SPLIT_AT_ONCE = 4096
"""So many stretches are split into words at once."""
_ENCODED_AT_ONCE = 1 << 19
"""Characters that the tokenizer is given at once: what it returns takes a hundred times as much memory."""


class Encoder:
    """Callable on texts; gives their ids one after the other, int32 `[tokens]` without `end`, and how many each has, int64.

    The ids are those that the tokenizer with this JSON gives.
    """

    def __init__(self, tokenizer: str, kind: Kind, end: int = 0, unknown: int | None = 1) -> None:
        self.tokenizer = parsed(tokenizer)
        self.end = end
        self.table: np.ndarray | None = None
        self.stretches: _Stretches | None = None
        if kind == "characters" and unknown is not None:
            self.table = _table(self.tokenizer.get_vocab(), unknown)
        elif kind in ("words", "bpe"):
            self.stretches = _Stretches(self.tokenizer)

    def __call__(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        if self.table is not None:
            if self.tokenizer.normalizer is not None:
                texts = [self.tokenizer.normalizer.normalize_str(text) for text in texts]
            codes = np.frombuffer("".join(texts).encode("utf-32-le"), dtype="<u4")
            return self.table[codes], np.fromiter(map(len, texts), np.int64, len(texts))
        if self.stretches is not None:
            return self.stretches.encode(texts)
        return _encode(self.tokenizer, texts, self.end)


class Words:
    """Counts the words of texts, as `tokenizer` splits them up."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.normalized = _Normal(tokenizer)
        self.split = tokenizer.pre_tokenizer.pre_tokenize_str
        self._words: Counter[str] = Counter()
        self._stretches: Counter[str] = Counter()

    def add(self, texts: Sequence[str]) -> None:
        """Count the words of these texts too."""
        self._stretches.update(stretches(texts)[0])
        if len(self._stretches) > MOST_KEPT // 8:
            self.finish()

    def finish(self) -> Counter[str]:
        """The count of each word so far."""
        found = [(self.normalized(stretch), times) for stretch, times in self._stretches.items()]
        self._stretches.clear()
        # Those that begin with their only space are split up alike one after the other, and many at once are faster.
        plain: list[tuple[str, int]] = []
        for one in found:
            if one[0].startswith(" ") and one[0][1:].split() == [one[0][1:]]:
                plain.append(one)
            else:
                self._count([one])
        for first in range(0, len(plain), _SPLIT_AT_ONCE):
            self._count(plain[first : first + _SPLIT_AT_ONCE])
        return self._words

    def _count(self, found: Sequence[tuple[str, int]]) -> None:
        begins = np.cumsum([0, *(len(text) for text, _ in found)])
        pieces = self.split("".join(text for text, _ in found))
        owner = np.searchsorted(begins, [begin for _, (begin, _) in pieces], side="right") - 1
        for (word, _), number in zip(pieces, owner.tolist(), strict=True):
            self._words[word] += found[number][1]


def stretches(texts: Sequence[str]) -> tuple[list[str], list[int]]:
    """The texts cut at single spaces between words, those spaces left out, and how many stretches each text has.

    The first stretch of a text begins with a line break, so it is told from others. Other white space stays in its stretch.
    """
    pieces: list[str] = []
    counts: list[int] = []
    for first in range(0, len(texts), _TOGETHER):
        some = texts[first : first + _TOGETHER]
        joined = "\n" + "\n".join(some)
        cut = joined.replace("\n", " \n").split(" ")[1:]
        found = joined.split()
        blanks = len(joined) - sum(map(len, found))
        # No other white space than the spaces and the line breaks that were put in, and a word after each of them.
        if blanks == joined.count(" ") + len(some) and joined.count("\n") == len(some) and len(found) == len(cut):
            pieces += cut
            counts += [text.count(" ") + 1 for text in some]
            continue
        for text in some:
            cut = text.split(" ")
            if text.split() != cut:
                cut = _CUT.split(text)
            pieces.append(f"\n{cut[0]}")
            pieces += cut[1:]
            counts.append(len(cut))
    return pieces, counts


class _Normal:
    """Callable on a stretch: what its tokenizer makes of it inside of its text, before it splits it up."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.normalizer = tokenizer.normalizer
        example = "A" if self.normalizer is None else self.normalizer.normalize_str("A")
        self.spaces = example.startswith(" ")
        self.lowers = example.endswith("a")

    def __call__(self, stretch: str) -> str:
        begins = stretch[0] == "\n"
        text = stretch[1:] if begins else stretch
        space = "" if begins and not self.spaces else " "
        # Most are one word, for which the normalizer need not be asked: only letters beyond ASCII are made small otherwise
        # than Python does it, or have no space before them.
        if text.split() == [text] and (text.isascii() or not (begins or self.lowers)):
            return space + (text.lower() if self.lowers else text)
        text = text if begins else f" {text}"
        if self.normalizer is None:
            return text
        text = self.normalizer.normalize_str(text)
        # The space that is put before the first word of a text is not put before others.
        return text[1:] if not begins and text.startswith("  ") else text


class _Stretches(dict[str, int]):
    """Numbers stretches as they come, and keeps the tokens of each."""

    new: list[str]
    size: int
    ids: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__()
        self.normalized = _Normal(tokenizer)
        self.bare = Tokenizer.from_str(json.dumps(json.loads(tokenizer.to_str()) | {"normalizer": None}))
        self._forget()

    def __missing__(self, stretch: str) -> int:
        number = self[stretch] = len(self)
        self.new.append(stretch)
        return number

    def encode(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        if self.size > MOST_KEPT:
            self._forget()
        pieces, counts = stretches(texts)
        numbers = np.fromiter(map(self.__getitem__, pieces), np.int64, len(pieces))
        self._encode_new()
        lengths = self.lengths[numbers]
        after = np.concatenate([[0], lengths.cumsum()])
        at = np.repeat(self.starts[numbers] - after[:-1], lengths)
        at += np.arange(len(at))
        return self.ids[at], np.diff(after[np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])])

    def _encode_new(self) -> None:
        texts = [self.normalized(stretch) for stretch in self.new]
        ids, lengths = _encode(self.bare, texts, -1)
        self.size += sum(map(len, texts))
        self.starts = np.concatenate([self.starts, len(self.ids) + lengths.cumsum() - lengths])
        self.lengths = np.concatenate([self.lengths, lengths])
        self.ids = np.concatenate([self.ids, ids])
        self.new.clear()

    def _forget(self) -> None:
        self.clear()
        self.new = []
        self.size = 0
        self.ids = np.zeros(0, np.int32)
        self.starts = np.zeros(0, np.int64)
        self.lengths = np.zeros(0, np.int64)


def _encode(tokenizer: Tokenizer, texts: Sequence[str], end: int) -> tuple[np.ndarray, np.ndarray]:
    """Ids of all texts in a row, int32, and how many each has, int64, by the tokenizer; `end` is left out."""
    ids: list[np.ndarray] = [np.zeros(0, np.int32)]
    lengths = np.zeros(len(texts), np.int64)
    for first, last in _parts(texts):
        rows = [one.ids for one in tokenizer.encode_batch_fast(list(texts[first:last]), add_special_tokens=False)]
        if end >= 0:
            rows = [[number for number in row if number != end] if end in row else row for row in rows]
        lengths[first:last] = list(map(len, rows))
        ids.append(np.fromiter(chain.from_iterable(rows), np.int32, int(lengths[first:last].sum())))
    return np.concatenate(ids), lengths


def _parts(texts: Sequence[str]) -> Iterable[tuple[int, int]]:
    """Ranges of texts with about as many characters as are encoded at once."""
    first = size = 0
    for number, text in enumerate(texts, 1):
        size += len(text)
        if size >= _ENCODED_AT_ONCE or number == len(texts):
            yield first, number
            first, size = number, 0


def _table(vocabulary: dict[str, int], unknown: int) -> np.ndarray:
    """The id of each code point, int32 `[0x110000]`."""
    table = np.full(0x110000, unknown, np.int32)
    for token, number in vocabulary.items():
        if len(token) == 1:
            table[ord(token)] = number
    return table
