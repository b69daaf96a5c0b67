"""Texts as they come from files made into a data set: what is left out, cut, split or there twice, without holding any."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

import numpy as np
import torch

from gan_text.data.encoding import Encoder
from gan_text.data.inputs import Problems
from gan_text.data.source import COMPACT, TokenSource
from gan_text.data.tokenizers import Vocabulary
from gan_text.spec import Kind, TextSpec
from gancore.data.reading import nothing_usable
from gancore.data.report import ScanReport
from gancore.errors import DataError, UsageError

SUPPORTED = "plain text (.txt, .md ...), .jsonl, .csv and .tsv files in UTF-8, folders and .zip archives of them"
MOST_CLASSES = 10_000

_NUMBER = re.compile(r"-?\d+([.,]\d+)?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taking:
    """What is made of texts: at most `limit` tokens each; `length` is that of samples, None for the longest that there is.

    `source` and `labels_by` say in messages where texts and classes come from.
    """

    source: str
    tokens: Kind
    lowercase: bool
    length: int | None
    limit: int
    long: Literal["skip", "cut", "split"]
    min_tokens: int
    min_count: int
    drop_copies: bool
    labels: bool | Literal["auto"]
    labels_by: str


class Taken:
    """The texts that are used, as they come: their tokens without gaps, and a few numbers for each.

    Texts that are equal, and samples that were split off one text, have one group.
    """

    def __init__(self, options: Taking, vocabulary: Vocabulary) -> None:
        self.options = options
        self.vocabulary = vocabulary
        self.encode = Encoder(vocabulary.tokenizer, options.tokens, vocabulary.end, vocabulary.unknown)
        self.size = TextSpec.of(
            vocabulary.tokenizer, length=1, tokens=options.tokens, end=vocabulary.end, unknown=vocabulary.unknown
        ).vocabulary
        self.ids_type: type[np.uint16] | type[np.int32] = np.uint16 if self.size <= COMPACT else np.int32
        self.tokens = bytearray()
        self.lengths: list[np.ndarray] = []
        self.owners: list[np.ndarray] = []
        """Where texts are split, the text that each sample is (a part) of, numbered among those that are used."""
        self.keys: list[np.ndarray] = []
        """For each text that is used a hash, by which equal ones are found."""
        self.alike: list[np.ndarray] = []
        """Where texts are cut, a hash of what is left of each: what is held out has nothing equal in training."""
        self.labels: list[np.ndarray] = []
        self.classes: dict[str, int] = {}
        self.found = self.long = self.short = self.texts = self.longest = self.counted = self.unknown = 0

    def add(self, texts: Sequence[str], labels: Sequence[str] | None) -> None:
        """Take of these texts what the options say."""
        if not texts:
            return
        ids, counts = self.encode(texts)
        limit = self.options.limit
        self.found += len(texts)
        self.long += int((counts > limit).sum())
        self.longest = max(self.longest, int(counts.max()))
        owner, start, size = _pieces(counts, limit, self.options.long)
        kept = size >= self.options.min_tokens
        self.short += int((~kept).sum())
        if self.options.long == "skip":
            kept &= size <= limit
        owner, start, size = owner[kept], start[kept], size[kept]
        ids = ids[_places(start, size)]
        used = owner
        if self.options.long == "split":
            used, owner = np.unique(owner, return_inverse=True)
            self.owners.append(self.texts + owner)
        self.counted += len(ids)
        if self.vocabulary.unknown is not None:
            self.unknown += int((ids == self.vocabulary.unknown).sum())
        self.tokens += ids.astype(self.ids_type).tobytes()
        self.lengths.append(size.astype(np.int32))
        written = (texts[number] for number in used.tolist())
        self.keys.append(_hashes((t.lower() if self.options.lowercase else t).encode() for t in written))
        if self.options.long == "cut":
            row, ends = ids.astype(np.int32).tobytes(), np.cumsum(size * 4).tolist()
            self.alike.append(_hashes(row[begin:end] for begin, end in zip([0, *ends], ends, strict=False)))
        if labels is not None:
            self.labels.append(self._numbers([labels[number] for number in used.tolist()]))
        self.texts += len(used)

    def _numbers(self, labels: Sequence[str]) -> np.ndarray:
        for label in labels:
            self.classes.setdefault(label, len(self.classes))
        if len(self.classes) > MOST_CLASSES:
            raise UsageError(
                f"data set '{self.options.source}': {self.options.labels_by} would make more than {MOST_CLASSES:,} classes; "
                "give another label_column, or labels=false"
            )
        return np.fromiter((self.classes[label] for label in labels), np.int32, len(labels))

    def source(self, problems: Problems, notes: Sequence[str] = ()) -> TokenSource:
        """All that was taken, as a data set, with `notes` among those of its report.

        Raises:
            DataError: it is nothing.
            UsageError: labels cannot be.
        """
        if not self.texts:
            raise self._nothing(problems)
        if self.options.tokens in ("characters", "words") and self.size == 2:
            raise DataError(
                f"data set '{self.options.source}': none of its {self.options.tokens} is there min_count={self.options.min_count} "
                "times, so all would be unknown; set min_count lower"
            )
        options, vocabulary = self.options, self.vocabulary
        lengths = _joined(self.lengths)
        owner = _joined(self.owners) if self.owners else None
        keys = _joined(self.keys)
        same = _first_of_equal(keys)
        copies = int((same != np.arange(len(same))).sum())
        tokens = np.frombuffer(self.tokens, self.ids_type)
        if copies and options.drop_copies:
            kept = same == np.arange(len(same))
            kept, owner = (kept, np.flatnonzero(kept)) if owner is None else (kept[owner], owner[kept[owner]])
            tokens, lengths = tokens[np.repeat(kept, lengths)], lengths[kept]
        label, classes = self._labels()
        spec = TextSpec.of(
            vocabulary.tokenizer,
            length=options.length or int(lengths.max()),
            tokens=options.tokens,
            end=vocabulary.end,
            unknown=vocabulary.unknown,
            classes=classes,
        )
        report = ScanReport(
            source=options.source,
            found=self.found + problems.count,
            used=len(lengths),
            skipped=problems.report(),
            notes=(*self._notes(lengths, copies), *notes),
        )
        offsets = np.zeros(len(lengths) + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        # By what a text says and not by where it stands, so that the same ones are held out where others come and go.
        groups = _joined(self.alike) if self.alike else keys
        groups = groups if owner is None else groups[owner]
        return TokenSource(
            torch.from_numpy(tokens.view(np.int16) if self.ids_type is np.uint16 else tokens),
            torch.from_numpy(offsets),
            spec,
            report,
            labels=None if label is None else torch.from_numpy(label if owner is None else label[owner]),
            groups=torch.from_numpy(groups.view(np.int64)),
        )

    def _labels(self) -> tuple[np.ndarray | None, tuple[str, ...]]:
        """Class numbers int64 of the texts, and the classes, in order."""
        if len(self.classes) < 2:
            if self.options.labels is True:
                raise UsageError(
                    f"data set '{self.options.source}': labels=true needs at least two classes, but all texts that can be used "
                    f"are of '{next(iter(self.classes), '')}'; give another label_column, or set labels to auto or false"
                )
            return None, ()
        numbers = all(_NUMBER.fullmatch(name) for name in self.classes)
        names = sorted(self.classes, key=lambda name: (float(name.replace(",", ".")) if numbers else 0.0, name))
        place = np.empty(len(names), np.int64)
        place[[self.classes[name] for name in names]] = np.arange(len(names))
        return place[np.concatenate(self.labels)], tuple(names)

    def _notes(self, lengths: np.ndarray, copies: int) -> Iterator[str]:
        options = self.options
        line = f"vocabulary of {self.size:,}"
        if self.vocabulary.unknown is not None:
            line += f", {self.unknown / self.counted:.2%} of tokens unknown"
        yield f"{line}; median length {np.median(lengths):g} tokens, longest text {self.longest:,}"
        if self.long:
            did = {"skip": "left out (long=cut or split takes them)", "cut": "cut off", "split": "split"}[options.long]
            yield f"{_texts_of(self.long)} longer than {options.limit:,} tokens {did}"
        if self.short:
            yield f"{_texts_of(self.short)} shorter than {_tokens_of(options.min_tokens)} left out"
        if copies:
            yield f"{_texts_of(copies)} equal to an earlier one" + (" left out" if options.drop_copies else "")

    def _nothing(self, problems: Problems) -> DataError:
        options = self.options
        otherwise = "all of it is blank"
        if self.long + self.short:
            otherwise = (
                f"of {_texts_of(self.found)}, {self.long:,} have more than {options.limit:,} tokens (set length higher, or "
                f"long=cut or split) and {self.short:,} fewer than {options.min_tokens:,} (min_tokens)"
            )
        skipped = [] if self.long + self.short else problems.listed
        return nothing_usable(options.source, "text", SUPPORTED, skipped, otherwise=otherwise)


def _pieces(counts: np.ndarray, limit: int, long: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of texts in a row with `counts` tokens: for each sample its text, where it starts, and how many tokens it has."""
    start = counts.cumsum() - counts
    if long != "split":
        return np.arange(len(counts)), start, np.minimum(counts, limit) if long == "cut" else counts
    parts = np.maximum(1, -(-counts // limit))
    owner = np.repeat(np.arange(len(counts)), parts)
    before = (np.arange(len(owner)) - np.repeat(parts.cumsum() - parts, parts)) * limit
    return owner, start[owner] + before, np.minimum(counts[owner] - before, limit)


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    """The parts in one, which are then forgotten: there may be as many as there are texts."""
    whole = np.concatenate(parts)
    parts.clear()
    return whole


def _first_of_equal(keys: np.ndarray) -> np.ndarray:
    """For each of `keys` `[n]` the number of the first that equals it, int64 `[n]`."""
    order = np.argsort(keys, kind="stable")
    new = np.ones(len(keys) + 1, bool)
    ordered = keys[order]
    np.not_equal(ordered[1:], ordered[:-1], out=new[1:-1])
    del ordered
    same = np.empty_like(order)
    same[order] = np.repeat(order[new[:-1]], np.diff(np.flatnonzero(new)))
    return same


def _places(start: np.ndarray, size: np.ndarray) -> np.ndarray:
    """The numbers from each start on, so many as its size, in a row."""
    after = size.cumsum()
    return np.repeat(start - (after - size), size) + np.arange(int(after[-1]) if len(after) else 0)


def _hashes(texts: Iterable[bytes]) -> np.ndarray:
    """64 bits for each text, uint64: two different ones among ten million are the same about once in 400,000 data sets."""
    return np.frombuffer(b"".join(blake2b(text, digest_size=8).digest() for text in texts), np.uint64)


def _texts_of(count: int) -> str:
    return "1 text" if count == 1 else f"{count:,} texts"


def _tokens_of(count: int) -> str:
    return "1 token" if count == 1 else f"{count:,} tokens"
