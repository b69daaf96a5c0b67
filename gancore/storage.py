"""Files that appear whole or not at all, and the folder in which plugins keep what they have worked out once."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO


def occupied(path: Path) -> bool:
    """Whether something would be written over at `path`: a file is there, or a folder with something in it."""
    return path.exists() and not (path.is_dir() and not any(path.iterdir()))


def sync(path: Path) -> None:
    """Wait until the file or folder at `path` is on the disk, as far as the system can tell of it."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:  # directories cannot be opened on Windows
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def new_file_mode() -> int:
    """The mode that a new file has under this process's umask, for files that a library makes private (0600)."""
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as status:
            mask = next(int(line.split()[1], 8) for line in status if line.startswith("Umask:"))
    except (OSError, StopIteration, ValueError, IndexError):
        # It can be read only by setting it; what another thread makes meanwhile is too private rather than too open.
        mask = os.umask(0o077)
        os.umask(mask)
    return 0o666 & ~mask


def missing_folders(path: Path) -> list[Path]:
    """`path` and its parents as far as they are not there, inmost first: what making it would make."""
    whole = path.absolute()
    return [folder for folder in (whole, *whole.parents) if not folder.exists()]


def take_back(folder: Path, made: Sequence[Path]) -> None:
    """Remove what has been written into `folder`, and those of the folders `made` for it that are empty then."""
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
    for path in made:
        with contextlib.suppress(OSError):
            path.rmdir()


@contextmanager
def whole_folder(path: Path) -> Iterator[None]:
    """Take back what is written into the folder `path`, empty or still to be made, where the body fails."""
    made = missing_folders(path)
    if occupied(path):
        yield
        return
    try:
        yield
    except BaseException:
        take_back(path, made)
        raise


@contextmanager
def numbered_folder(root: Path) -> Iterator[Path]:
    """Make the first free of `root/001`, `root/002` ..., which no other process gets; take it back where the body fails."""
    made = missing_folders(root)
    number = 1
    while True:
        folder = root / f"{number:03d}"
        try:
            folder.mkdir(parents=True)
            break
        except FileExistsError:
            number += 1
    try:
        yield folder
    except BaseException:
        take_back(folder, [folder, *made])
        raise


def cache_folder(kind: str) -> Path | None:
    """Where things of a kind (`images`) are kept: in $GAN_CACHE_DIR, or else $XDG_CACHE_HOME/gancore, or else ~/.cache/gancore.

    None where there is no such place, as for a user without a home; that is told in a warning.
    """
    own = os.environ.get("GAN_CACHE_DIR")
    shared = os.environ.get("XDG_CACHE_HOME")
    try:
        if own:
            return Path(own).expanduser() / kind
        return (Path(shared) if shared else Path("~/.cache").expanduser()) / "gancore" / kind
    except RuntimeError as error:  # nobody knows this user, or whose home `~name` is
        tell_no_cache(error)
        return None


_told: list[str] = []


def tell_no_cache(why: Exception, folder: Path | None = None) -> None:
    """Warn that nothing can be kept in `folder`, once in each process: it is slower next time, and no error."""
    if _told:
        return
    cause = (why.strerror or str(why)) if isinstance(why, OSError) else str(why).rstrip(".")
    where = f" in '{folder}'" if folder else ""
    _told.append(f"the cache cannot be used{where} ({cause[:1].lower()}{cause[1:]})")
    warnings.warn(
        f"{_told[0]}: prepared data are not kept for the next run; set GAN_CACHE_DIR to a writable folder",
        stacklevel=2,
    )


def cache_key(parts: Iterable[object]) -> str:
    """A file name for what `parts`, plain data, spell; the first is best the version of what is kept."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(json.dumps(part).encode() + b"\n")
    return digest.hexdigest()


def new_file(path: Path, *, buffering: int = -1) -> tuple[IO[bytes], str]:
    """A new, hidden file beside `path`, to write and read, and its name; it may take the place of `path` when complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-")
    os.chmod(name, new_file_mode())
    return os.fdopen(handle, "w+b", buffering=buffering), name


def fill(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Let `write` fill a new file and put it at `path` when complete: other processes see all of it or nothing.

    Raises:
        OSError: the folder cannot be written or is full; nothing is left behind.
    """
    file, name = new_file(path)
    try:
        with file:
            write(file)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def replacing(path: Path, write: Callable[[Path], object]) -> Path:
    """Let `write` make a file that takes the place of `path` once it is whole; the folder is made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.stem}.tmp{path.suffix}")
    try:
        write(unfinished)
        os.replace(unfinished, path)
    except BaseException:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise
    return path
