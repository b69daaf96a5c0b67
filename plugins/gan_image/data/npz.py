"""Arrays of a .npz file judged by their headers, before memory is taken for what these promise."""

from __future__ import annotations

import math
import zipfile

import numpy as np

from gancore.errors import DataError

MOST_PACKED = 500
"""Data that are not empty deflate less than this often; a bomb does a thousandfold ..."""
HARMLESS_BYTES = 64 * 2**20
"""... and does no harm up to this size."""
PICKLED = "it holds Python objects, which are not read because they could run code"


def array_shape(archive: zipfile.ZipFile, name: str) -> tuple[int, ...]:
    """The shape of the array `name` by its header. Raises ValueError, OSError where that is damaged."""
    return _header(archive, name)[1]


def _header(archive: zipfile.ZipFile, name: str) -> tuple[zipfile.ZipInfo, tuple[int, ...], np.dtype, int]:
    """The member of the array `name`, its shape and type, and where it begins."""
    member = archive.getinfo(name if name in archive.namelist() else f"{name}.npy")
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
        return member, shape, dtype, file.tell()


def check_array(archive: zipfile.ZipFile, name: str, limit_mb: int) -> None:
    """See that the array `name` can be read.

    Raises:
        DataError: it cannot, or should not; the message completes "the file cannot be used: ...".
        ValueError, OSError: its header is damaged.
    """
    member, shape, dtype, begin = _header(archive, name)
    if dtype.hasobject:
        raise DataError(PICKLED)
    promised = math.prod(shape) * dtype.itemsize
    held = member.file_size - begin
    if promised != held:
        raise DataError(f"the header of '{name}' promises {promised:,} bytes, but there are {held:,}")
    if promised > limit_mb * 2**20:
        raise DataError(
            f"'{name}' needs {promised / 2**20:,.0f} MiB of memory, more than data.memory_limit_mb={limit_mb}; set that higher, or "
            "store it as a .npy file, which is memory-mapped"
        )
    if promised > HARMLESS_BYTES and promised > MOST_PACKED * member.compress_size:
        raise DataError(
            f"'{name}' is packed {promised // max(1, member.compress_size):,}-fold, as nothing but empty data can be; if it is to "
            "be read, store it with numpy.savez, uncompressed"
        )
