"""Colour pictures of nine categories, each drawn by four vendors.

From the npm packages emoji-datasource-{google,apple,twitter,facebook} (the same emoji in four
hands, 64 x 64 pixels). No study fetches anything itself: `npm pack emoji-datasource-google` puts an
archive into the folder one stands in.
"""

import io
import itertools
import json
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image

VENDORS = ("google", "apple", "twitter", "facebook")
NOT_OF_INTEREST = ("Component",)
"""Five swatches of skin colours."""
VALIDATION = 10
"""Every tenth emoji, of the vendors that are learnt from."""


def emoji_folder(pool: Path, archives: Path, learnt: Sequence[str], tested: str) -> Path:
    """An image folder, train/ val/ test/, of one picture for each emoji and vendor (no variants of
    skin); `tested` draws the test images, and nothing else."""
    folder = pool / f"emoji_{'_'.join(learnt)}_for_{tested}"
    if folder.is_dir():
        return folder
    half = pool / f"{folder.name}.half"  # a kill leaves nothing that looks whole
    for vendor in (*learnt, tested):
        for number, category, name, image in _drawn(archives, vendor):
            learning = "val" if number % VALIDATION == 0 else "train"
            place = half / ("test" if vendor == tested else learning) / category
            place.mkdir(parents=True, exist_ok=True)
            image.save(place / name)
    half.rename(folder)
    return folder


def _drawn(archives: Path, vendor: str) -> Iterator[tuple[int, str, str, Image.Image]]:
    """Number of the emoji, its category, a file's name, the picture on white."""
    with tarfile.open(_archive(archives, vendor)) as packed:
        listed = json.load(_inside(packed, "package/emoji.json"))
        for number, one in enumerate(sorted(listed, key=lambda one: str(one["unified"]))):
            if one["category"] in NOT_OF_INTEREST or not one[f"has_img_{vendor}"]:
                continue
            data = _inside(packed, f"package/img/{vendor}/64/{one['image']}").read()
            image = Image.open(io.BytesIO(data)).convert("RGBA")
            white = Image.new("RGBA", image.size, "white")
            shown = Image.alpha_composite(white, image).convert("RGB")
            category = one["category"].replace(" & ", "-and-").lower()
            yield number, category, f"{vendor}-{one['image']}", shown


def grey_emoji(pool: Path, archives: Path, images: int) -> Path:
    """A folder of so many of them as grey PNG files of 28 pixels: pictures of no class at all among
    those of a data set of another kind."""
    folder = pool / f"emoji_grey_{images}"
    if folder.is_dir():
        return folder
    half = pool / f"{folder.name}.half"
    half.mkdir(parents=True, exist_ok=True)
    drawn = (file for vendor in VENDORS for file in _drawn(archives, vendor))
    for _, _, name, image in itertools.islice(drawn, images):
        image.convert("L").resize((28, 28)).save(half / name)
    half.rename(folder)
    return folder


def _archive(folder: Path, vendor: str) -> Path:
    found = sorted(folder.glob(f"emoji-datasource-{vendor}-*.tgz"))
    if not found:
        raise SystemExit(
            f"no archive of {vendor}: cd {folder} && npm pack emoji-datasource-{vendor}"
        )
    return found[-1]


def _inside(packed: tarfile.TarFile, name: str) -> io.BufferedReader:
    file = packed.extractfile(name)
    assert file, name
    return file  # type: ignore[return-value]
