"""Finding the files of a data set, in a folder or in a zip archive, in the same order on every machine.

Archives are read in place, never unpacked, so nothing that an archive says can write anywhere. An `Entry` may be
pickled and used in a loader's worker process: it opens its archive there anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import threading
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO, Annotated, Any, Protocol

from pydantic import StringConstraints

from gancore.data.report import Skipped
from gancore.data.runs import LEFT_OUT, is_run, runs_in
from gancore.errors import DataError, UsageError

MAX_ENTRY_BYTES = 256 * 1024 * 1024
"""Files larger than this are not read: no single sample is, and a zip bomb is."""
Glob = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
"""Part of an option that chooses files, as `matches` compares it."""


class _Container(Protocol):
    def open(self, key: str) -> IO[bytes]: ...


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a `FileTree`.

    `name` is its path inside the tree with forward slashes, `fingerprint` a text that changes when the file does.
    """

    name: str
    size: int
    fingerprint: str
    container: _Container
    key: str
    max_bytes: int = MAX_ENTRY_BYTES

    def open(self) -> IO[bytes]:
        """A readable, seekable file. Raises DataError whose message completes "the file is ..."."""
        if self.size > self.max_bytes:
            raise DataError(f"larger than {self.max_bytes / 2**20:,.0f} MiB")
        try:
            return self.container.open(self.key)
        except Exception as error:
            raise DataError(why_unreadable(error)) from error

    def read(self) -> bytes:
        """Its whole content. Raises DataError whose message completes "the file is ..."."""
        with self.open() as file:
            try:
                # Room is taken for what was listed. The file may have grown since, and an archive may lie: never more than allowed.
                data = file.read(min(self.size, self.max_bytes) + 1)
                if len(data) > self.size:
                    data += file.read(self.max_bytes + 1 - len(data))
            except Exception as error:
                raise DataError(why_unreadable(error)) from error
        if len(data) > self.max_bytes:
            raise DataError(f"larger than {self.max_bytes / 2**20:,.0f} MiB")
        return data


@dataclass(frozen=True, slots=True)
class FileTree:
    """What `scan` found: `entries` sorted by name, `problems` for what could not be looked at."""

    path: Path
    is_archive: bool
    entries: tuple[Entry, ...]
    problems: tuple[Skipped, ...]

    def __len__(self) -> int:
        return len(self.entries)


def scan(path: str | Path, *, what: str = "files", max_bytes: int = MAX_ENTRY_BYTES) -> FileTree:
    """Every file under the folder, or in the zip archive, at `path`, without hidden ones and what systems leave
    behind, such as `__MACOSX` and `Thumbs.db`.

    Links are followed, and no folder is read twice, so links in a circle do no harm. A run below `path` is left out and listed
    among the problems, for its samples are no data; what `path` itself names is read, even if it is a run. `what` names in
    errors what was looked for. Raises UsageError when `path` is neither a folder nor a zip archive, DataError when it cannot
    be read, or only in part.
    """
    place = Path(path).expanduser()
    wanted = f"a folder or a .zip archive of {what} was looked for"
    try:
        mode = place.stat().st_mode
    except FileNotFoundError:
        raise UsageError(f"data path '{path}': there is nothing of this name; {wanted}") from None
    except OSError as error:
        raise DataError(f"data path '{path}': it is {why_unreadable(error)}; {wanted}") from error
    if stat.S_ISDIR(mode):
        return _scan_folder(place, max_bytes, wanted)
    if not stat.S_ISREG(mode):
        raise UsageError(f"data path '{path}': this is {_kind(mode)}; {wanted}")
    try:
        if zipfile.is_zipfile(place):
            return _scan_zip(place, max_bytes, wanted)
        with open(place, "rb") as file:
            begun = file.read(4) == b"PK\3\4"
    except OSError as error:
        raise DataError(f"data path '{path}': it is {why_unreadable(error)}; {wanted}") from error
    if begun:
        raise DataError(
            f"data path '{path}': this is a zip archive whose end is missing, as after an incomplete download; "
            "download or copy it again"
        )
    raise UsageError(f"data path '{path}': this is neither a folder nor a zip archive; {wanted}")


def single(path: Path, *, max_bytes: int = MAX_ENTRY_BYTES) -> FileTree:
    """A file by itself. Raises OSError where it cannot be looked at."""
    status = path.stat()
    folder = _Folder(os.fspath(path.parent))
    entry = Entry(_printable(path.name), status.st_size, file_fingerprint(status), folder, path.name, max_bytes)
    return FileTree(path, False, (entry,), ())


def expect_file(path: Path, wanted: str) -> Path:
    """The path, `~` expanded, where a file is. Raises UsageError that says what is there instead, and that `wanted` was looked for."""
    place = path.expanduser()
    if not place.is_file():
        what = f"this is {_kind(place.stat().st_mode)}, not a file" if place.exists() else "there is no such file"
        raise UsageError(f"data path '{path}': {what}; {wanted} was looked for")
    return place


def matches(name: str, globs: Iterable[str]) -> bool:
    """Whether one of `globs` fits a file of this path in a data set: the whole path if the glob has a slash, else its last part."""
    return any(fnmatchcase(name if "/" in glob else name.rpartition("/")[2], glob) for glob in globs)


def is_lone(path: Path) -> bool:
    """Whether one file is there by itself, rather than a folder or a zip archive of some."""
    return path.is_file() and path.suffix.lower() != ".zip"


def lone(path: Path) -> FileTree:
    """The tree of one file that there is, without a look at those beside it."""
    entry = Entry(
        _printable(path.name),
        path.stat().st_size,
        file_fingerprint(path.stat()),
        _Folder(os.fspath(path.parent)),
        path.name,
    )
    return _tree(path, False, [entry], [])


def digest(entries: Iterable[Entry]) -> str:
    """What changes when files are added, removed, renamed or of another size, or in an archive of other content.

    Where the tree lies, and when its files were written, plays no part.
    """
    result = hashlib.blake2b(digest_size=16)
    for entry in entries:
        content = entry.fingerprint if isinstance(entry.container, _Archive) else ""
        result.update(json.dumps([entry.name, entry.size, content]).encode())
    return result.hexdigest()


def why_unreadable(error: Exception) -> str:
    """Plain words for an exception of the file system or of zipfile, to complete "the file is ..."."""
    if isinstance(error, DataError):
        return str(error)
    if isinstance(error, RuntimeError) and "encrypted" in str(error):
        return "encrypted"
    if isinstance(error, NotImplementedError):
        return f"packed in a way that cannot be read ({error})"
    if isinstance(error, zipfile.BadZipFile | zlib.error | EOFError | KeyError):
        return "damaged inside the archive"
    if isinstance(error, FileNotFoundError):
        return "no longer there"
    if isinstance(error, OSError) and error.strerror:
        return f"unreadable ({error.strerror.lower()})"
    return f"unreadable ({error or type(error).__name__})"


def _kind(mode: int) -> str:
    """What there is that is no regular file."""
    kinds = {
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a named pipe (FIFO)",
        stat.S_IFSOCK: "a socket",
        stat.S_IFBLK: "a device",
        stat.S_IFCHR: "a device",
    }
    return kinds.get(stat.S_IFMT(mode), "something special")


def _hidden(part: str) -> bool:
    return part.startswith(".") or part == "__MACOSX" or part.casefold() in ("thumbs.db", "desktop.ini")


def _printable(name: str) -> str:
    """The name with bytes that are no text spelt out (`caf\\xe9`): they cannot be printed or stored as JSON. Two names stay two."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def file_fingerprint(status: os.stat_result) -> str:
    """A text that changes when the file does, even to one of equal size and time: a copy that kept its time has another inode,
    or at least the time at which its inode was changed."""
    return f"{status.st_size}:{status.st_mtime_ns}:{status.st_ino}:{status.st_ctime_ns}"


# --- folders ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Folder:
    root: str

    def open(self, key: str) -> IO[bytes]:
        return open(os.path.join(self.root, key), "rb")


def _scan_folder(root: Path, max_bytes: int, wanted: str) -> FileTree:
    folder = _Folder(os.fspath(root))
    entries: list[Entry] = []
    problems: list[Skipped] = []
    seen: set[tuple[int, int]] = set()
    # Linked folders wait until all real ones have been read: a folder reachable both ways keeps its real name.
    real: list[str] = [""]
    linked: list[str] = []
    while real or linked:
        below = real.pop() if real else linked.pop(0)
        try:
            info = os.stat(os.path.join(root, below))
            if (info.st_dev, info.st_ino) in seen:
                continue
            seen.add((info.st_dev, info.st_ino))
            children = sorted(os.scandir(os.path.join(root, below)), key=lambda child: child.name)
        except OSError as error:
            if not below:
                raise DataError(f"data path '{root}': it is {why_unreadable(error)}; {wanted}") from error
            problems.append(Skipped(_printable(below), why_unreadable(error)))
            continue
        if below and any(child.name == "config.toml" for child in children) and is_run(os.path.join(root, below)):
            problems.append(Skipped(_printable(below), LEFT_OUT))
            continue
        for child in children:
            if _hidden(child.name):
                continue
            key = f"{below}/{child.name}" if below else child.name
            try:
                if child.is_dir():
                    (linked if child.is_symlink() else real).append(key)
                    continue
                status = child.stat()
            except FileNotFoundError as error:
                why = "a broken link" if child.is_symlink() else why_unreadable(error)
                problems.append(Skipped(_printable(key), why))
                continue
            except OSError as error:
                problems.append(Skipped(_printable(key), why_unreadable(error)))
                continue
            if not stat.S_ISREG(status.st_mode):
                problems.append(Skipped(_printable(key), "not a regular file"))
                continue
            entries.append(Entry(_printable(key), status.st_size, file_fingerprint(status), folder, key, max_bytes))
    return _tree(root, False, entries, problems)


# --- archives ---------------------------------------------------------------------------------------------------------


class _Archive:
    """A zip file, opened when first read from, once in each process: an open file must not be shared across a fork."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._forget()

    def _forget(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._handle: zipfile.ZipFile | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.path = state["path"]
        self._forget()

    def __del__(self) -> None:
        handle = getattr(self, "_handle", None)
        if handle is not None and self._process == os.getpid():
            handle.close()

    def open(self, key: str) -> IO[bytes]:
        if self._process != os.getpid():
            self._forget()
        with self._lock:
            if self._handle is None:
                self._handle = zipfile.ZipFile(self.path)
        return self._handle.open(key)


def _outside(name: str) -> bool:
    return ".." in name.split("/") or name.startswith("/")


def _left_out(name: str) -> bool:
    return any(map(_hidden, name.split("/"))) and not _outside(name)


def _shown(name: str) -> str:
    """The path of a member with forward slashes, as it can be printed."""
    name = name.replace("\\", "/")
    with contextlib.suppress(UnicodeEncodeError):
        return _printable(name)
    return name


def _scan_zip(path: Path, max_bytes: int, wanted: str) -> FileTree:
    archive = _Archive(path)
    entries: dict[str, Entry] = {}
    problems: list[Skipped] = []
    try:
        with zipfile.ZipFile(path) as handle:
            members = [
                (name, member)
                for member in handle.infolist()
                if not member.is_dir() and not _left_out(name := _shown(member.filename))
            ]
            runs = runs_in(handle, {name: member.filename for name, member in members})
    except Exception as error:
        raise DataError(f"data path '{path}': the archive is {why_unreadable(error)}; {wanted}") from error
    problems += [Skipped(run, LEFT_OUT) for run in runs]
    inside = tuple(f"{run}/" for run in runs)
    for name, member in members:
        if _outside(name):
            problems.append(Skipped(name, "named as if outside of the archive"))
        elif not name.startswith(inside):
            # Of two members with one name the later counts, as it would after unpacking.
            fingerprint = f"{member.file_size}:{member.CRC:08x}"
            entries[name] = Entry(name, member.file_size, fingerprint, archive, member.filename, max_bytes)
    return _tree(path, True, list(entries.values()), problems)


def _tree(path: Path, is_archive: bool, entries: list[Entry], problems: list[Skipped]) -> FileTree:
    return FileTree(
        path=path,
        is_archive=is_archive,
        entries=tuple(sorted(entries, key=lambda entry: entry.name)),
        problems=tuple(sorted(problems, key=lambda problem: problem.path)),
    )
