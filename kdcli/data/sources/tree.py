"""What a folder holds for kd: what others keep there for themselves does not exist, links are
followed once, and what cannot be read is refused in words."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from kdcli.core.errors import DataError
from kdcli.core.files import FORBIDDEN, HANDLES, MORE_HANDLES
from kdcli.core.text import shown, some
from kdcli.data.image_files import begins_as_image, is_image_name, suffix_of
from kdcli.data.sources.own_output import is_output

SHADOWS = frozenset(
    (
        # Synology: thumbnails, what was deleted, what is being copied
        *("@eadir", "@tmp", "@sharebin", "#recycle", "#snapshot"),
        # QNAP
        *("@__thumb", "@recycle", "@recently-snapshot", "@transcode"),
        # NetApp's earlier states of every file
        "~snapshot",
        # Windows: what was deleted, its own notes, thumbnails; not `recycled`, as it was called
        # before Vista: a class of waste may be
        *("$recycle.bin", "system volume information"),
        *("thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini"),
        # macOS: a shadow of every file in a zip; on shared folders; a folder's own picture
        *("__macosx", "network trash folder", "temporary items", "icon\r"),
        # Linux: what a repair of the disk has found; Python, Lightroom's and Capture One's previews
        *("lost+found", "__pycache__", "previews.lrdata", "captureone"),
    )
)
"""Names, in lower case, of what storage devices, desktops and programs keep beside images: copies
and thumbnails of them, mostly. None is a class. Those that begin with a dot need no entry
(`.thumbnails`, `.@__thumb`, `.ipynb_checkpoints`, `.AppleDouble`, `.Trash-1000`, `._cat.jpg`)."""

Found = tuple[str, "os.DirEntry[str]"]
"""The posix path of a file, relative to where it was looked for, and its entry."""


def is_shadow(name: str) -> bool:
    """Whether a file or folder of this name does not exist for kd."""
    return name.startswith(".") or name.lower() in SHADOWS


@contextmanager
def reading(place: Path | str) -> Iterator[None]:
    """The system's refusals to read, in words: any OSError inside becomes a DataError."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{shown(error.filename or place)}: cannot be read "
            f"({(error.strerror or str(error)).lower()})",
            _way_out(error.errno),
        ) from error


def _way_out(number: int | None) -> str:
    if number in FORBIDDEN:
        return "let this user read it, or take it out"
    if number in (errno.ENAMETOOLONG, errno.ELOOP):
        return "check the path"
    if number in HANDLES:
        return MORE_HANDLES
    return "see whether its disk answers"


def subfolders(folder: Path) -> list[Path]:
    """The folders in a folder, and links to folders, by name; none that leads back up."""
    with reading(folder):
        above = _and_above(folder)
        return [
            folder / child.name
            for child in _entries(folder, _is_folder)
            if not (child.is_symlink() and _known(child.path) in above)
        ]


def refuse_dead_links(folder: Path) -> None:
    """Raise DataError for those in the place of class folders: on a disk that is away, likely as
    not. Without the suffix of a file, that is."""
    with reading(folder):
        links = [entry.name for entry in _entries(folder) if _is_dead(entry)]
    if dead := [shown(name) for name in links if not suffix_of(name)]:
        raise DataError(
            f"{shown(folder)}: dead links, and nobody knows to what: {some(dead)}",
            "bring back what they lead to, or remove the links",
        )


def images_in(folder: Path) -> int:
    """How many images lie in the folder itself."""
    with reading(folder):
        return sum(not _is_folder(child) and _is_image(child) for child in _entries(folder))


def loose_files(root: Path, folder: Path) -> list[str]:
    """The files of a folder itself, relative to `root`."""
    with reading(folder):
        files = [child.name for child in _entries(folder) if not _is_folder(child)]
    return [(folder / name).relative_to(root).as_posix() for name in files]


def walk(folder: Path) -> Iterator[Path]:
    """Every file below a folder, at any depth."""
    with reading(folder):
        yield from (folder / name for name, _ in _below(folder))


def images_below(root: Path, folder: Path | None = None) -> tuple[list[str], list[str]]:
    """Every image below a folder (`root` itself), and every other file: sorted posix paths,
    relative to `root`.

    A dead link is an image wherever its name may be that of one: reading it will say so. A link to
    a folder that was looked at already, or that leads back up, is among the others.
    """
    folder = folder or root
    prefix = "" if folder == root else f"{folder.relative_to(root).as_posix()}/"
    found: tuple[list[str], list[str]] = ([], [])
    with reading(folder):
        for name, entry in _below(folder):
            found[not _is_image(entry)].append(prefix + name)
    return sorted(found[0]), sorted(found[1])


def _below(folder: Path) -> Iterator[Found]:
    """Not in order; each real folder once, whatever leads there."""
    seen = _and_above(folder)
    waiting = [(str(folder), "")]
    while waiting:
        place, prefix = waiting.pop()
        for entry in _entries(place):
            if not _is_folder(entry):
                yield prefix + entry.name, entry
            elif (known := _known(entry.path)) not in seen:
                seen.add(known)
                waiting.append((entry.path, f"{prefix}{entry.name}/"))
            elif entry.is_symlink():
                yield prefix + entry.name, entry


def _entries(
    folder: Path | str, wanted: "Callable[[os.DirEntry[str]], bool]" = lambda _: True
) -> "list[os.DirEntry[str]]":
    """By name: what a link and its folder both lead to is found by the same one everywhere."""
    with os.scandir(folder) as found:
        some = [e for e in found if wanted(e) and not is_shadow(e.name)]
    some = [e for e in some if not (_is_folder(e) and is_output(e.path))]
    return sorted(some, key=lambda entry: entry.name)


def _is_image(entry: "os.DirEntry[str]") -> bool:
    named = is_image_name(entry.name)
    if not named and suffix_of(entry.name):
        return False
    if _is_dead(entry):
        return True
    # no pipe, which would be read for ever
    return entry.is_file() and (named or begins_as_image(entry.path))


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError as error:
        if error.errno == errno.ELOOP:  # a link to itself: a dead one
            return False
        raise


def _is_dead(entry: "os.DirEntry[str]") -> bool:
    return entry.is_symlink() and not os.path.exists(entry.path)  # noqa: PTH110  # never raises


def _and_above(folder: Path) -> set[object]:
    place = folder.resolve()
    return {_known(each) for each in (place, *place.parents)}


def _known(folder: Path | str) -> object:
    """What is equal for two paths of one folder; some network disks number no files."""
    found = os.stat(folder)  # noqa: PTH116  # a string as often as not
    return (found.st_dev, found.st_ino) if found.st_ino else Path(folder).resolve()
