"""torch/NAME and hfds/NAME, read offline from files laid where the libraries look."""

import hashlib
import pickle
import socket
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures import pictures
from PIL import Image

from kdcli.core.errors import DataError, UsageError
from kdcli.core.progress import Silent
from kdcli.data.loader import plain_batches
from kdcli.data.open import location, open_source
from kdcli.data.sources import torchvision_sets
from kdcli.data.store import open_store

TRAIN, TEST = 60, 20


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No name resolves, however well the machine is connected."""

    def nowhere(*_: Any, **__: Any) -> None:
        raise socket.gaierror("Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KD_DATA", str(tmp_path))


def lay_idx(folder: Path) -> None:
    folder.mkdir(parents=True)
    for part, count in (("train", TRAIN), ("t10k", TEST)):
        images = np.random.default_rng(count).integers(0, 256, (count, 28, 28), dtype=np.uint8)
        for name, array in (("images", images), ("labels", np.arange(count, dtype=np.uint8) % 10)):
            head = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
            path = folder / f"{part}-{name}-idx{array.ndim}-ubyte"
            path.write_bytes(head + array.tobytes())


# torchvision ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "place", "first"),
    [
        ("fashion_mnist", "FashionMNIST/raw", "T-shirt/top"),
        ("mnist", "MNIST/raw", "0 - zero"),
        ("kmnist", "KMNIST/raw", "o"),
    ],
)
def test_sets_of_idx_files(tmp_path: Path, name: str, place: str, first: str) -> None:
    lay_idx(tmp_path / place)
    source = open_source(f"torch/{name}")
    assert source.name == name
    assert source.classes[0] == first
    assert [len(s) for s in (source.train, source.validation, source.test)] == [54, 6, TEST]
    assert source.carved == {"validation": list(source.validation.ids)}
    image = source.test.read(3)
    assert image.shape == (28, 28, 3)
    expected = np.random.default_rng(TEST).integers(0, 256, (TEST, 28, 28), dtype=np.uint8)
    assert (image[..., 1] == expected[3]).all()
    assert (source.defaults.image_size, source.defaults.augment) == (32, "shift")
    assert location(f"torch/{name}") == f"torch/{name}"


def test_identity_is_of_the_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay_idx(tmp_path / "MNIST/raw")
    first = open_source("torch/mnist").identity
    lay_idx(tmp_path / "elsewhere" / "MNIST/raw")
    monkeypatch.setenv("KD_DATA", str(tmp_path / "elsewhere"))
    assert open_source("torch/MNIST").identity == first
    path = tmp_path / "elsewhere/MNIST/raw/t10k-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    assert open_source("torch/mnist").identity != first


def test_cifar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its sums are those of our own little files."""
    from torchvision.datasets import CIFAR10

    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()

    def laid(file: str, content: dict[str, Any]) -> list[str]:
        (folder / file).write_bytes(pickle.dumps(content))
        return [file, hashlib.md5((folder / file).read_bytes()).hexdigest()]

    def batch(count: int) -> dict[str, Any]:
        data = np.random.default_rng(count).integers(0, 256, (count, 3072), dtype=np.uint8)
        return {"data": data, "labels": [i % 10 for i in range(count)]}

    monkeypatch.setattr(CIFAR10, "train_list", [laid("data_batch_1", batch(TRAIN))])
    monkeypatch.setattr(CIFAR10, "test_list", [laid("test_batch", batch(TEST))])
    names = ["airplane", *"bcdefghij"]
    meta = laid("batches.meta", {"label_names": names})
    monkeypatch.setattr(CIFAR10, "meta", dict(filename=meta[0], key="label_names", md5=meta[1]))
    source = open_source("torch/cifar10")
    assert source.classes == tuple(names)
    assert source.test.read(0).shape == (32, 32, 3)
    assert (source.test.read(0).transpose(2, 0, 1).ravel() == batch(TEST)["data"][0]).all()
    assert source.defaults.augment == "shift_flip"


def test_sets_of_files_keep_their_validation_images_for_the_test(tmp_path: Path) -> None:
    names = [f"{i:05d}_Animalia_Chordata_Aves_Order_Family_Genus_sp{i}" for i in range(3)]
    for version, count in (("2021_train", 12), ("2021_valid", 3)):
        for i, name in enumerate(names):
            pictures(tmp_path / "inaturalist" / version / name, count, first=100 * i)
    source = open_source("torch/inat")
    assert source.classes == tuple(names)
    assert [len(s) for s in (source.train, source.validation, source.test)] == [32, 4, 9]
    assert source.test.ids[0] == f"2021_valid/{names[0]}/00.png"
    assert "validation is the test set" in source.notes[0]
    assert source.train.read(0).shape == (12, 12, 3)


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("mnist", "MNIST/raw"),
        ("cifar10", "cifar-10-batches-py"),
        ("imagenet", "ILSVRC2012_devkit_t12.tar.gz"),
        ("places365", "val_large/"),
    ],
)
def test_a_set_that_cannot_be_had_says_where_its_files_go(
    tmp_path: Path, name: str, place: str
) -> None:
    with pytest.raises(DataError, match=r"cannot be fetched \(") as caught:
        open_source(f"torch/{name}")
    assert str(tmp_path) in caught.value.what
    assert place in str(caught.value)
    assert "KD_DATA" in caught.value.fix
    assert "\n" not in caught.value.what


def test_downloads_give_up_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float | None] = []

    def create(*_: Any, **__: Any) -> None:
        waits.append(socket.getdefaulttimeout())
        raise RuntimeError("no")

    monkeypatch.setattr("timm.data.dataset_factory.create_dataset", create)
    with pytest.raises(DataError):
        open_source("torch/mnist")
    assert waits == [torchvision_sets.WAIT]
    assert socket.getdefaulttimeout() is None


def test_files_lie_in_the_cache_unless_said_otherwise(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert torchvision_sets.data_folder() == tmp_path
    monkeypatch.delenv("KD_DATA")
    monkeypatch.setenv("KD_CACHE", str(tmp_path / "cache"))
    assert torchvision_sets.data_folder() == tmp_path / "cache" / "data"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("torch/cifar11", "did you mean 'cifar10'"),
        ("torch/folder", "give --data FOLDER itself"),
        ("torch/", "no name"),
        ("wds/shards", "a stream"),
        ("tfds/mnist", "a stream"),
        ("hfids/mnist", "a stream"),
    ],
)
def test_other_names(name: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_source(name)
    assert words in str(caught.value)


# Hugging Face -----------------------------------------------------------------------------------


def noise(count: int, first: int = 0) -> list[Image.Image]:
    return [
        Image.fromarray(
            np.random.default_rng(first + i).integers(0, 256, (20, 24, 3), dtype=np.uint8)
        )
        for i in range(count)
    ]


def hub_set(folder: Path, label: Any = None, *, image: str = "image", **splits: list[Any]) -> str:
    """Parquet files of noise, one for each split, by their labels."""
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    feature = label or datasets.ClassLabel(names=["Katze", "Hünd"])
    column = "label" if image == "image" else "kind"
    features = datasets.Features({image: datasets.Image(), column: feature})
    place = folder / "a set ü"
    place.mkdir(exist_ok=True)
    for i, (split, labels) in enumerate(splits.items()):
        rows = {image: noise(len(labels), 1000 * i), column: labels}
        table = datasets.Dataset.from_dict(rows, features=features)
        table.to_parquet(str(place / f"{split}-00000-of-00001.parquet"))
    return f"hfds/{place}"


def halves(count: int) -> list[int]:
    return [i % 2 for i in range(count)]


def test_a_set_of_the_hub_s_format(tmp_path: Path) -> None:
    name = hub_set(tmp_path, train=halves(40), test=halves(10))
    source = open_source(name)
    assert source.name == "a set ü"
    assert source.classes == ("Katze", "Hünd")
    assert [len(s) for s in (source.train, source.validation, source.test)] == [36, 4, 10]
    assert (source.test.read(3) == np.asarray(noise(10, 1000)[3])).all()
    assert source.test.labels.tolist() == halves(10)
    assert source.train.read.size(0) == (24, 20)
    assert location(name) == name


def test_identity_is_of_content(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "y").mkdir()
    first = open_source(hub_set(tmp_path / "x", train=halves(40))).identity
    assert open_source(hub_set(tmp_path / "y", train=halves(40))).identity == first
    assert open_source(hub_set(tmp_path / "y", train=halves(40)[::-1])).identity != first


def test_readers_travel_to_spawned_workers(tmp_path: Path) -> None:
    train = open_source(hub_set(tmp_path, train=halves(40))).train
    other = pickle.loads(pickle.dumps(train))
    assert (other.read(5) == train.read(5)).all()
    store = open_store(train, 16, Silent(), limit_bytes=0)
    (batch,) = plain_batches(store, num_classes=2, workers=1)
    assert batch.images.shape == (28, 3, 16, 16)


def test_splits_without_labels_are_left_out(tmp_path: Path) -> None:
    name = hub_set(tmp_path, train=halves(40), validation=halves(10), test=[-1] * 5)
    source = open_source(name)
    assert len(source.test) == 10
    assert "test has no labels: left out" in source.notes
    assert "no test split: validation is the test set" in source.notes


def test_columns_of_other_names_are_found_and_said(tmp_path: Path) -> None:
    source = open_source(hub_set(tmp_path, image="img", train=halves(40)))
    assert "images are in column img, labels in kind" in source.notes


def test_words_and_numbers_are_classes(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    words = hub_set(tmp_path, datasets.Value("string"), train=list("ab" * 20), test=["b", "b"])
    source = open_source(words)
    assert source.classes == ("a", "b")
    assert source.test.labels.tolist() == [1, 1]
    assert "test has no images of a" in source.notes
    numbers = hub_set(tmp_path, datasets.Value("int64"), train=halves(40), test=[0, 1])
    assert open_source(numbers).classes == ("0", "1")


def test_labels_that_train_lacks(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    name = hub_set(tmp_path, datasets.Value("string"), train=list("ab" * 20), test=["c"])
    with pytest.raises(DataError, match="labels that no image of train has: c"):
        open_source(name)


@pytest.mark.parametrize("kind", ["several", "float"])
def test_other_tasks(tmp_path: Path, kind: str) -> None:
    datasets = pytest.importorskip("datasets")
    several = datasets.Sequence(datasets.ClassLabel(names=["a", "b"]))
    feature, labels = {
        "several": (several, [[0], [0, 1]]),
        "float": (datasets.Value("float32"), [0.5, 0.7]),
    }[kind]
    with pytest.raises(DataError, match="not for kd"):
        open_source(hub_set(tmp_path, feature, train=labels))


def test_a_broken_image_is_named_by_its_row(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    place = tmp_path / "broken"
    place.mkdir()
    cells = [
        {"bytes": Path(__file__).read_bytes()[:50] if i == 7 else None, "path": None}
        for i in range(20)
    ]
    for i, picture in enumerate(pictures(tmp_path / "p", 20)):
        cells[i]["bytes"] = cells[i]["bytes"] or picture.read_bytes()
    features = datasets.Features(
        {"image": datasets.Image(decode=False), "label": datasets.ClassLabel(names=["a", "b"])}
    )
    rows = {"image": cells, "label": halves(20)}
    table = datasets.Dataset.from_dict(rows, features=features)
    table.cast_column("image", datasets.Image()).to_parquet(str(place / "train.parquet"))
    source = open_source(f"hfds/{place}")
    (split,) = (
        s for s in (source.train, source.validation, source.test) if "train-000007" in s.ids
    )
    with pytest.raises(DataError, match=r"train, row 7: not a readable image"):
        open_store(split, 8, Silent())


def test_a_set_that_cannot_be_had(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    with pytest.raises(DataError, match="not in the cache") as caught:
        open_source("hfds/nobody/has-this-set")
    assert str(tmp_path) in caught.value.what
    assert "hfds/FOLDER" in caught.value.fix


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError) as caught:
        open_source("hfds/ylecun/mnist")
    assert caught.value.fix == "pip install 'kdcli[hub]'"
