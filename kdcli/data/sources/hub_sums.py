"""What is known of the images in a table of `datasets`: kept between runs, as that of files is."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from kdcli.core.progress import Progress
from kdcli.core.row_cache import key_of, keys_of
from kdcli.data.file_sums import (
    UNREADABLE,
    Looks,
    bytes_sum,
    cached_rows,
    header_size,
    look_at_files,
    settled_dates,
)

AT_ONCE = 1000
"""Rows that are looked at together: their images pass through memory meanwhile."""
_ROW = np.dtype([("sum", "<i8", 2), ("size", "<i4", 2)])


def table_looks(table: Any, image: str, progress: Progress) -> Looks:
    """At the image files in column `image`; where a cell has a path alone, at that file.

    Kept by the Arrow files that the table lies in, where it lies in files.
    """
    files = sorted(Path(each["filename"]) for each in table.cache_files)
    dates = [settled_dates(file) for file in files]
    lasting = bool(files) and None not in dates
    cache = cached_rows("tables", str(files[0].absolute()) if lasting else "", _ROW.itemsize)
    about = key_of(f"{files} {dates} {table._fingerprint} {image}".encode()).hex()
    keys = keys_of(f"{about} {i}".encode() for i in range(len(table)))
    known, rows = cache.find(keys)
    found = rows.view(_ROW)[:, 0]
    if not known.all():
        paths = _look(table, image, found)
        if lasting:
            embedded = np.delete(np.arange(len(found)), list(paths))
            cache.keep(keys[embedded], rows[embedded], len(keys))
        looks = look_at_files(Path(), list(paths.values()), progress)
        found["sum"][list(paths)], found["size"][list(paths)] = looks.sums, looks.sizes
    return Looks(found["sum"].copy(), found["size"].copy())


def _look(table: Any, image: str, found: Any) -> dict[int, str]:
    """Fill the rows of images that are embedded; the paths of the others, by row."""
    paths = {}
    for i, (data, path) in enumerate(_cells(table, image)):
        if data is not None:
            found[i] = bytes_sum(data), header_size(io.BytesIO(data))
        else:
            found[i] = UNREADABLE, 0
            if path:
                paths[i] = str(Path(path).absolute())
    return paths


def _cells(table: Any, image: str) -> Iterator[tuple[memoryview | None, str | None]]:
    """An image file's bytes, or its path; by Arrow's own buffers, a few at a time."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for batch in table.with_format("arrow").iter(AT_ONCE):
        cells = batch[image].combine_chunks()
        paths = pc.struct_field(cells, "path").to_pylist()
        embedded = pc.struct_field(cells, "bytes").cast(pa.large_binary())
        for data, path in zip(embedded, paths, strict=True):
            yield memoryview(data.as_buffer()) if data.is_valid else None, path
