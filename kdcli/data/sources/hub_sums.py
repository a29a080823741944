"""Sums over the images in a table of `datasets`: kept between runs, as those of files are."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from kdcli.core.arrays import Ints
from kdcli.core.progress import Progress
from kdcli.core.row_cache import key_of
from kdcli.data.file_sums import UNREADABLE, bytes_sum, cached_rows, file_sums, settled_dates

AT_ONCE = 1000
"""Rows that are looked at together: their images pass through memory meanwhile."""
_ROW = struct.Struct("<2q")


def table_sums(table: Any, image: str, progress: Progress) -> Ints:
    """(n, 2), of the image files' bytes in column `image`; where a cell has a path alone, of that
    file.

    Kept by the Arrow files that the table lies in, where it lies in files.
    """
    cells = _kept(table, image)
    paths = {i: str(Path(cell).absolute()) for i, cell in enumerate(cells) if isinstance(cell, str)}
    found = file_sums(Path(), list(paths.values()), progress).tolist() if paths else []
    sums = [cell if isinstance(cell, tuple) else UNREADABLE for cell in cells]
    for i, each in zip(paths, found, strict=True):
        sums[i] = tuple(each)
    return np.array(sums, dtype=np.int64).reshape(-1, 2)


Cell = tuple[int, int] | str
"""The sum of what is embedded, or the path of a file."""


def _kept(table: Any, image: str) -> list[Cell]:
    files = sorted(Path(each["filename"]) for each in table.cache_files)
    dates = [settled_dates(file) for file in files]
    if not files or None in dates:
        return list(_cells(table, image))
    cache = cached_rows("tables", files[0], _ROW.size)
    about = f"{files} {dates} {table._fingerprint} {image}"
    keys = [key_of(f"{about} {i}".encode()) for i in range(len(table))]
    rows = [cache.get(key) for key in keys]
    if all(rows):
        return [_ROW.unpack(row) for row in rows if row]
    cells = list(_cells(table, image))
    for key, cell in zip(keys, cells, strict=True):
        if not isinstance(cell, str):
            cache.put(key, _ROW.pack(*cell))
    cache.save(asked=len(keys))
    return cells


def _cells(table: Any, image: str) -> Iterator[Cell]:
    """By Arrow's own buffers: no image becomes an object of Python's."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for batch in table.with_format("arrow").iter(AT_ONCE):
        cells = batch[image].combine_chunks()
        paths = pc.struct_field(cells, "path").to_pylist()
        embedded = pc.struct_field(cells, "bytes").cast(pa.large_binary())
        for data, path in zip(embedded, paths, strict=True):
            yield bytes_sum(memoryview(data.as_buffer())) if data.is_valid else path or UNREADABLE
