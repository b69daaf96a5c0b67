"""Texts out of a file, a folder or a zip archive: a line each, a file each, or a column of JSONL, CSV and TSV files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from gan_text.data.inputs import TABLES, Problems, Reader, Texts
from gan_text.data.reading import read
from gan_text.data.source import TokenSource
from gan_text.data.taking import Taken, Taking
from gan_text.data.tokenizers import Vocabulary, make, pretrained
from gan_text.spec import Kind
from gancore.components import ProgressReport
from gancore.data.classes import Labels, Part
from gancore.data.files import Entry, Glob, matches, scan, single, why_unreadable
from gancore.data.reading import FileSet
from gancore.errors import DataError
from gancore.options import Options as BaseOptions

PLAIN = (".txt", ".text", ".md", ".rst")
"""Plain files that are looked for in folders unless `files` says otherwise."""
USUAL_LENGTH = 64
"""Tokens that a text has at most where no length is given."""


class Options(BaseOptions):
    """Options of the data set `lines`."""

    path: Path = Field(
        description="A text file, a .jsonl, .csv or .tsv file, or a folder or .zip archive of such files; UTF-8."
    )
    unit: Literal["line", "file"] = Field(
        "line", description="What a text is in plain files: a line, or the whole file."
    )
    column: str | None = Field(
        None,
        min_length=1,
        max_length=1000,
        description="The column of .csv and .tsv files, or field of .jsonl files, that holds the text; not given: `text`, or the "
        "only column. The first line of .csv and .tsv files names the columns; commas, semicolons, tabs or | separate them.",
    )
    label_column: str | None = Field(
        None, min_length=1, max_length=1000, description="The column or field that names the class of each text."
    )
    labels: bool | Literal["auto"] = Field(
        "auto",
        description="Whether there are classes, from `label_column` or top folders; auto: if there are two or more, with "
        "more files inside than next to them. Those next to them are left out.",
    )
    part: Part = "auto"
    files: tuple[Glob, ...] = Field(
        (),
        description="Of a folder or archive, only files whose name matches one of these globs, such as `*.py`; with a slash, "
        "whose path inside does. None: .txt, .text, .md and .rst files, and those with columns if a column is named.",
    )
    tokens: Kind = Field(
        "words",
        description="What a token is: a character, a word, a byte-pair piece of one, or what `tokenizer` makes.",
    )
    tokenizer: Path | None = Field(
        None, description="Folder of a tokenizer as transformers stores it (tokenizer.json), for tokens=pretrained."
    )
    vocabulary: int = Field(
        8192,
        ge=3,
        le=1_000_000,
        description="Most tokens of the vocabulary, the end of a text and unknown ones among them; bpe has as many if the data "
        "allow it, and at least 257. Not for tokens=pretrained.",
    )
    min_count: int = Field(
        1,
        ge=1,
        le=1_000_000,
        description="Rarer characters or words are unknown; rarer pairs are not merged by bpe. Texts that are left out for "
        "their length count too.",
    )
    lowercase: bool = Field(False, description="Make all letters small.")
    length: int | None = Field(
        None,
        ge=1,
        le=65_536,
        description="Tokens in a text, at most; not given: those of the longest text, at most 64.",
    )
    long: Literal["skip", "cut", "split"] = Field(
        "skip", description="Texts with more tokens: left out, cut off, or split into several texts."
    )
    min_tokens: int = Field(1, ge=1, le=65_536, description="Texts with fewer tokens are left out.")
    duplicates: Literal["keep", "drop"] = Field(
        "keep", description="Texts that are there already, letter by letter: used again, or left out."
    )
    max_bytes: int = Field(
        1 << 20,
        ge=16,
        le=1 << 28,
        description="Lines, or with unit=file files, of more bytes are left out; they are never held in memory.",
    )

    @model_validator(mode="after")
    def _check(self) -> Options:
        if (self.tokens == "pretrained") != (self.tokenizer is not None):
            raise ValueError("tokenizer is the folder for tokens=pretrained; give both, or neither")
        if self.tokens == "bpe" and self.vocabulary < 257:
            raise ValueError(
                f"with tokens=bpe vocabulary is at least 257 (all bytes and the end), not {self.vocabulary}"
            )
        if self.min_tokens > (self.length or USUAL_LENGTH):
            raise ValueError(f"min_tokens ({self.min_tokens}) must not be above length ({self.length or USUAL_LENGTH})")
        return self

    @property
    def limit(self) -> int:
        """Tokens that a text has at most."""
        return self.length or USUAL_LENGTH

    @property
    def taking(self) -> Taking:
        """What is made of texts."""
        return Taking(
            source=str(self.path),
            tokens=self.tokens,
            lowercase=self.lowercase,
            length=self.length,
            limit=self.limit,
            long=self.long,
            min_tokens=self.min_tokens,
            min_count=self.min_count,
            drop_copies=self.duplicates == "drop",
            labels=self.labels,
            labels_by=f"label_column '{self.label_column}'" if self.label_column else "the folders",
        )

    @property
    def reader(self) -> Reader:
        """How files are read."""
        by_column = self.label_column if self.labels is not False else None
        return Reader(self.column, by_column, self.unit == "file", self.max_bytes)


def open_lines(options: Options, progress: ProgressReport) -> TokenSource:
    """The texts of all files, in the order of the files' names, as token ids.

    Files are read twice, for the vocabulary and then for the ids, and never held. Texts that are equal, and those that were
    split off one, have one group.

    Raises:
        UsageError: the path, the tokenizer's folder or the labels cannot be.
        DataError: there is no text.
    """
    files = _files(options)
    problems = Problems()
    for one in files.unread:
        problems.add(one.path, one.reason)
    todo = "sort the files into folders, give label_column, or set labels to auto or false"
    by_folder = files.labels(range(len(files.entries)), _by_folder(options), todo)[0] is not None
    vocabulary = _vocabulary(files.entries, options, progress)
    taken = Taken(options.taking, vocabulary)
    for number, texts in _texts(files.entries, options, problems, progress, "reading texts (bytes)"):
        taken.add(texts.texts, [str(files.words[number])] * len(texts.texts) if by_folder else texts.labels)
    return taken.source(problems, files.notes)


# --- files ------------------------------------------------------------------------------------------------------------


def _files(options: Options) -> FileSet:
    """The files to read, sorted by name, and the class of each by its folder."""
    path = options.path.expanduser()
    labels = _by_folder(options)
    try:
        if path.is_file() and path.suffix.lower() != ".zip":
            return FileSet.of(options.path, single(path, max_bytes=1 << 62), part=options.part, labels=labels)
    except OSError as error:
        raise DataError(
            f"data path '{path}': it is {why_unreadable(error)}; give a text file, a folder or a .zip archive"
        ) from error
    tree = scan(path, what="text files", max_bytes=1 << 62)
    wanted = options.files or tuple(
        f"*{suffix}" for suffix in PLAIN + (TABLES if options.column or options.label_column else ())
    )
    chosen = [e for e in tree.entries if matches(e.name if options.files else e.name.lower(), wanted)]
    if not chosen:
        first = f"; first problem: {tree.problems[0].path}: {tree.problems[0].reason}" if tree.problems else ""
        there = f"{len(tree):,} other files, such as {tree.entries[0].name}" if tree.entries else f"no file{first}"
        raise DataError(
            f"data set '{options.path}': no text file was found ({there}); looked for: {' '.join(wanted)} (option files; "
            "files with columns are looked for where column is given)"
        )
    return FileSet.of(options.path, tree, chosen, part=options.part, labels=labels)


def _by_folder(options: Options) -> Labels:
    return False if options.label_column else options.labels


def _texts(
    entries: Sequence[Entry], options: Options, problems: Problems, progress: ProgressReport, words: str
) -> Iterator[tuple[int, Texts]]:
    """Texts, some at a time, with the number of the file that they are from."""
    total = sum(entry.size for entry in entries)
    before = 0
    for number, entry in enumerate(entries):
        for texts in read(entry, options.reader, problems):
            yield number, texts
            progress(words, min(before + texts.done, total), total)
        before += entry.size
        progress(words, before, total)


def _vocabulary(entries: Sequence[Entry], options: Options, progress: ProgressReport) -> Vocabulary:
    """The tokenizer of the data, or the one that is given."""
    if options.tokens == "pretrained":
        assert options.tokenizer is not None
        return pretrained(options.tokenizer, lowercase=options.lowercase)
    return make(
        options.tokens,
        (texts.texts for _, texts in _texts(entries, options, Problems(), progress, "counting tokens (bytes)")),
        most=options.vocabulary,
        min_count=options.min_count,
        lowercase=options.lowercase,
    )
