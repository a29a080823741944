"""torchvision's data sets, by timm's names for them.

timm's factory makes them, so that a name means the same images as in its own scripts; of what it
makes, paths, pixels and labels are taken, and kd decodes and divides as it does everywhere.
"""

import hashlib
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from kdcli.core.arrays import Indices, Pixels
from kdcli.core.errors import DataError, UsageError
from kdcli.core.files import cache_folder
from kdcli.core.progress import Progress
from kdcli.core.text import class_name, did_you_mean
from kdcli.data.defaults import defaults_of
from kdcli.data.readers import ArrayImages, digest_of, open_splits
from kdcli.data.source import Defaults, Schedule, Source, Split
from kdcli.data.sources import idx
from kdcli.data.splits import complete

WAIT = 5.0
"""Seconds without an answer after which a download is given up; between two answers, so that a
download may take as long as it takes."""

_IDX = "train-images-idx3-ubyte, train-labels-idx1-ubyte and t10k-..., unpacked"
ARRAYS = {
    "cifar10": ("cifar-10-batches-py", "data_batch_1 ... test_batch, batches.meta"),
    "cifar100": ("cifar-100-python", "train, test, meta"),
    "fashion_mnist": ("FashionMNIST/raw", _IDX),
    "kmnist": ("KMNIST/raw", _IDX),
    "mnist": ("MNIST/raw", _IDX),
    "qmnist": ("QMNIST/raw", "qmnist-train-images-idx3-ubyte, ... as torchvision names them"),
}
"""Sets that are read into memory, with train and test: where torchvision looks, and for what."""
FILES = {
    "imagenet": "ILSVRC2012_img_train.tar, ILSVRC2012_img_val.tar, ILSVRC2012_devkit_t12.tar.gz",
    "inaturalist": "2021_train/ and 2021_valid/",
    "places365": "data_large_standard/, val_large/ and its three .txt files",
}
"""Sets of image files, with train and validation."""
ALIASES = {"inat": "inaturalist"}
# What timm calls a folder of class folders: `--data FOLDER` itself is that here.
FOLDERS = ("folder", "image_folder")

# Pictures of things, so they are mirrored, too; batches of 128, as is usual on CIFAR: 351 steps an
# epoch over the 45,000 of its 50,000 images that are trained on.
CIFAR = Defaults(
    image_size=32,
    augment="shift_flip",
    pretrained=False,
    small=Schedule(epochs=20, batch_size=128, lr=3e-3, patience=None),
    large=Schedule(epochs=10, batch_size=128, lr=1e-3, patience=None),
)


def data_folder() -> Path:
    """Where torchvision's sets lie, and are fetched to: `$KD_DATA`, else kd's own cache."""
    own = os.environ.get("KD_DATA")
    return Path(own).expanduser() if own else cache_folder() / "data"


def open_torch(name: str, progress: Progress) -> Source:
    """A set that torchvision has below `data_folder()`, or fetches to it.

    Raises UsageError for names that timm does not know, DataError for what cannot be had.
    """
    folder = data_folder()
    known = ALIASES.get(name.lower(), name.lower())
    if known in FOLDERS:
        raise UsageError(f"--data torch/{name}: needs a folder", "give --data FOLDER itself")
    if known in ARRAYS:
        return _from_arrays(known, folder, progress)
    if known in FILES:
        return _from_files(known, folder / known if (folder / known).is_dir() else folder, progress)
    names = sorted((*ARRAYS, *FILES))
    raise UsageError(
        f"--data torch/{name}: no such data set{did_you_mean(known, names)}",
        f"there are {', '.join(f'torch/{each}' for each in names)}",
    )


def _from_arrays(name: str, folder: Path, progress: Progress) -> Source:
    sets = {role: _created(name, folder, role, progress) for role in ("train", "test")}
    classes = tuple(class_name(str(each)) for each in sets["train"].classes)
    given, sums = {}, []
    for role, found in sets.items():
        images = np.ascontiguousarray(np.asarray(found.data, dtype=np.uint8))
        labels = np.asarray(found.targets, dtype=np.int64)
        labels = labels[:, 0] if labels.ndim == 2 else labels  # QMNIST's further columns
        ids = tuple(f"{role}-{row:05d}" for row in range(len(labels)))
        given[role] = Split(labels, ids, ArrayImages(images))
        sums.append(_sum(images, labels))  # of pixels: the name says nothing of a changed copy
    _check_labels(name, given, classes)
    grey = sets["train"].data.ndim == 3
    return complete(
        given,
        name=name,
        where=f"torch/{name}",
        classes=classes,
        identity={"kind": "torch", "name": name, "content": sums},
        defaults=idx.DEFAULTS if grey else CIFAR,
    )


def _from_files(name: str, folder: Path, progress: Progress) -> Source:
    """The set's validation images are the test set: those of its own have no labels."""
    listed: dict[str, tuple[tuple[str, ...], Indices]] = {}
    classes: tuple[str, ...] = ()
    for role, split in (("train", "train"), ("test", "validation")):
        found = _created(name, folder, split, progress)
        classes = classes or _class_names(found)
        paths, labels = zip(*_listed(found), strict=True)
        names = tuple(_relative(path, folder) for path in paths)
        listed[role] = names, np.array(labels, dtype=np.int64)
    given = open_splits(folder, listed, progress)
    _check_labels(name, given, classes)
    return complete(
        given,
        name=name,
        where=f"torch/{name}",
        classes=classes,
        identity={"kind": "torch", "name": name, "files": digest_of(given, classes)},
        defaults=defaults_of(given["train"]),
        notes=(f"torch/{name} has labels for train and validation: validation is the test set",),
    )


def _created(name: str, folder: Path, split: str, progress: Progress) -> Any:
    """torchvision's data set, by timm's factory.

    Raises:
        DataError: neither there nor to be had; names the folder where its files go.
    """
    from timm.data.dataset_factory import create_dataset

    below, files = ARRAYS.get(name) or ("", FILES[name])
    place = folder / below
    if not place.is_dir():
        progress.say(f"torch/{name}: fetching to {folder}")
    try:
        with _patience():
            return create_dataset(f"torch/{name}", root=str(folder), split=split, download=True)
    except Exception as error:  # archives, sums, sockets: torchvision hands on whatever it meets
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"torch/{name}: not in {place}, and cannot be fetched ({reason})",
            f"put the files there ({files}), or set KD_DATA to the folder that has them",
        ) from error


@contextmanager
def _patience() -> Iterator[None]:
    """torchvision waits for an address that never answers; this does not.

    It takes no timeout, but opens its sockets with Python's default one, which is set meanwhile.
    """
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(WAIT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _listed(found: Any) -> list[tuple[str, int]]:
    """Path and label of each image, sorted; iNaturalist has names of its own for them."""
    if hasattr(found, "all_categories"):
        root, folders = Path(found.root), found.all_categories
        return [(str(root / folders[label] / file), label) for label, file in sorted(found.index)]
    return sorted(found.imgs)


def _class_names(found: Any) -> tuple[str, ...]:
    """ImageNet's classes have several names each, and two are both cranes."""
    raw = found.all_categories if hasattr(found, "all_categories") else found.classes
    names = [class_name(each if isinstance(each, str) else ", ".join(each)) for each in raw]
    return tuple(f"{name} ({i})" if names.count(name) > 1 else name for i, name in enumerate(names))


def _relative(path: str, folder: Path) -> str:
    place = Path(path)
    inside = place.is_relative_to(folder)
    return (place.relative_to(folder) if inside else place).as_posix()


def _sum(images: Pixels, labels: Indices) -> str:
    known = hashlib.sha256(images.data)
    known.update(labels.data)
    return known.hexdigest()


def _check_labels(name: str, given: dict[str, Split], classes: tuple[str, ...]) -> None:
    for role, split in given.items():
        if not len(split) or split.labels.min() < 0 or split.labels.max() >= len(classes):
            raise DataError(
                f"torch/{name}: {role} has labels outside its {len(classes)} classes, or no image",
                "fetch it again",
            )
