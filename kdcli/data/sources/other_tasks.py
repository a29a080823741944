"""Data of tasks that are not for kd, told by their layout, so that the refusal says why.

Only masks and COCO's split folders could pass for classes; everything else is looked for when a
folder has failed to make a classification task, and then explains it: no false alarm on a folder
that works.
"""

import mmap
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from kdcli.core.errors import DataError, KdError
from kdcli.data.image_files import VIDEOS, is_image_name, suffix_of
from kdcli.data.sources.folder_layout import list_images
from kdcli.data.sources.tree import subfolders, walk
from kdcli.data.splits import role_of

ONE_LABEL = (
    "kd takes one label per image: a folder of images per class, or a table image,label (.csv)"
)
TOLD = 20
"""Files of a kind that are opened to tell what they are: a set of a hundred thousand is of one
kind."""

# The names that these sets are published with, in lower case.
_IMAGES = {"images", "image", "imgs", "img", "jpegimages"}
_MASKS = {"masks", "mask", "segmentation", "segmentations", "segmentationclass"}
_TEXT = {".txt", ".json", ".jsonl", ".md"}
_ARCHIVES = {".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar"}
_JSON = "a .json of boxes or outlines (COCO, LabelMe): object detection or segmentation"
# COCO's split folders, train2017 and val2017, would pass for two classes.
_YEARS = re.compile(r"(train|val|valid|test|unlabeled)[-_]?\d{4}", re.IGNORECASE)
_KEYS = ((b'"annotations"', b'"bbox"'), (b'"shapes"', b'"points"'))
"""In one JSON file: COCO's boxes, or LabelMe's outlines."""


def refuse_other_tasks(root: Path) -> None:
    """Raise DataError for what would pass for classes, and is none.

    Asked before a folder is looked at as classes; `explained` only after that has failed.
    """
    for place in _places(root):
        if _has_masks(place):
            raise _refusal(
                place, "masks beside images of the same names: segmentation, a label per pixel"
            )
    children = [child.name for child in subfolders(root)]
    years = [name for name in children if _YEARS.fullmatch(name)]
    if years and all(name in years or name.lower() == "annotations" for name in children):
        _refuse(root, _boxes_in_json(root))


def explained(root: Path, error: KdError) -> KdError:
    """The error that `root` made, or a better one where it holds another task's data."""
    for place in _places(root):
        for told in (_boxes_in_text, _boxes_in_xml, _boxes_in_json):
            if reason := told(place):
                return _refusal(place, reason)
    if _only_text(root):
        return _refusal(root, "text and no image: language is another task")
    if _mostly_videos(root):
        return DataError(
            f"{root}: videos, and kd takes images",
            "extract frames, those of one video into one split alone: "
            "ffmpeg -i CLASS/a.mp4 -vf fps=1 frames/CLASS/a-%05d.jpg",
        )
    tables = [file for file in sorted(root.glob("*.csv")) if _is_table(file)]
    fix = f"there is a table of images: --data {tables[0]}" if tables else error.fix
    return type(error)(error.what, fix)


def no_data(path: Path, given: str) -> DataError:
    """Of a file that is no table: what it looks like, and what is wanted."""
    suffix = path.suffix.lower()
    if suffix == ".json" and _has_keys(path):
        return _refusal(path, _JSON)
    if suffix in _ARCHIVES:
        kind, fix = "an archive", "unpack it, and give the folder that holds the class folders"
    elif suffix in {f".{video}" for video in VIDEOS}:
        kind, fix = "a video", "extract frames, and give a folder of them per class"
    elif is_image_name(path):
        kind, fix = "a single image", "give the folder that holds the class folders"
    else:
        kind, fix = f"a {suffix} file" if suffix else "a file without a suffix", ONE_LABEL
    return DataError(f"--data {given}: is {kind}; wanted is a folder, or a table (.csv)", fix)


def _refuse(place: Path, reason: str | None) -> None:
    if reason:
        raise _refusal(place, reason)


def _refusal(place: Path, reason: str) -> DataError:
    return DataError(f"{place}: not for kd: {reason}", ONE_LABEL)


def _places(root: Path) -> list[Path]:
    """The folder and its split folders."""
    return [root, *(child for child in subfolders(root) if role_of(child.name))]


def _has_masks(place: Path) -> bool:
    """Two folders and no other class, the images of one named as those of the other.

    At least half of the images have a mask, and no mask is without its image: two classes that are
    called images and masks, of Halloween maybe, pass.
    """
    names = {child.name.lower(): child.name for child in subfolders(place)}
    images = [name for key, name in names.items() if key in _IMAGES]
    masks = [name for key, name in names.items() if key in _MASKS]
    if not images or not masks:
        return False
    found = {name: group for name, group in list_images(place, place).images.items() if group}
    if not set(found) <= {*images, *masks}:
        return False
    plain = {stem for name in images for stem in _stems(found.get(name, ()))}
    drawn = {
        re.sub(r"[-_](mask|seg|label)$", "", stem)  # cat_mask.png beside cat.jpg
        for name in masks
        for stem in _stems(found.get(name, ()))
    }
    return bool(drawn) and drawn <= plain and 2 * len(drawn) >= len(plain)


def _stems(names: Iterable[str]) -> Iterator[str]:
    """Paths without their first folder and their suffix."""
    for name in names:
        yield re.sub(r"\.[^./]*$", "", name.rpartition("/")[2])


def _boxes_in_text(place: Path) -> str | None:
    """YOLO: a .txt of numbers for each image, in labels/ beside images/, or beside the image; one
    line is a class and four numbers of a box, or more of an outline."""
    notes = [file for file in _near(place, "labels") if file.suffix.lower() == ".txt"]
    images = {f.stem for f in _near(place, "images") if is_image_name(f)}
    named = [file for file in notes if file.stem in images]
    if any(_is_yolo(file) for file in named[:TOLD]):
        return "a .txt of boxes for each image (YOLO): object detection, several labels per image"
    return None


def _is_yolo(file: Path) -> bool:
    words = file.read_text("utf-8", errors="replace").partition("\n")[0].split()
    return len(words) >= 5 and all(re.fullmatch(r"-?\d*\.?\d+(e-?\d+)?", word) for word in words)


def _boxes_in_xml(place: Path) -> str | None:
    """Pascal VOC: an .xml for each image."""
    files = (file for file in _near(place, "annotations") if file.suffix.lower() == ".xml")
    if any(b"<bndbox" in file.read_bytes() for file in islice(files, TOLD)):
        return "an .xml of boxes for each image (Pascal VOC): object detection, several labels each"
    return None


def _boxes_in_json(place: Path) -> str | None:
    """COCO's one file for all images, or LabelMe's one for each."""
    files = (file for file in _near(place, "annotations") if file.suffix.lower() == ".json")
    if any(_has_keys(file) for file in islice(files, TOLD)):
        return _JSON
    return None


def _has_keys(file: Path) -> bool:
    if not file.stat().st_size:  # nothing can be mapped of an empty file
        return False
    # mapped and searched, not parsed: COCO's file of annotations has 450 MB
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as text:
        return any(all(text.find(key) >= 0 for key in keys) for keys in _KEYS)


def _near(place: Path, name: str) -> Iterator[Path]:
    """The files that lie in `place` itself, and those anywhere below its folder `name`."""
    yield from (child for child in sorted(place.iterdir()) if child.is_file())
    for child in subfolders(place):
        if child.name.lower() == name:
            yield from walk(child)


def _only_text(root: Path) -> bool:
    # a thousand are enough to say so, and a folder of logs may have millions
    files = [file.suffix.lower() for file in islice(walk(root), 1000)]
    return bool(files) and all(suffix in _TEXT for suffix in files)


def _mostly_videos(root: Path) -> bool:
    suffixes = [suffix_of(file) for file in islice(walk(root), 1000)]
    videos = sum(suffix in VIDEOS for suffix in suffixes)
    return videos > sum(is_image_name(f"a.{suffix}") for suffix in suffixes)


def _is_table(file: Path) -> bool:
    with file.open(encoding="utf-8-sig", errors="replace") as stream:
        heads = re.split(r"[,;\t]", stream.readline().strip().lower())
    return {"image", "label"} <= {head.strip(' "') for head in heads}
