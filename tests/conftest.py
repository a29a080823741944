"""Runs that are trained once for all tests, and copied where a test changes anything."""

import gc
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from house import ON_DIGITS, House, kd_ok, living_in, on_pictures
from thrift import hurry, once, shared_folder

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")  # the same everywhere: bits are compared


def pytest_collection_finish() -> None:
    """What was imported stays: no collection of garbage looks at it again."""
    gc.collect()
    gc.freeze()


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in a script's background, `make test &`
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers have in common."""
    return shared_folder(tmp_path_factory)


@pytest.fixture(scope="session", autouse=True)
def _hurried(shared: Path) -> Iterator[None]:
    memory = shared / "onnx"
    memory.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        hurry(patch, memory)
        patch.setenv("KD_CACHE", str(shared / "cache"))  # nobody's own
        yield


@pytest.fixture(autouse=True)
def _wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables are as wide as they like: words are looked for in them."""
    monkeypatch.setenv("COLUMNS", "300")


@pytest.fixture
def empty_house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    """No run yet; the folder itself is not there either."""
    monkeypatch.setenv("KD_RUNS", str(tmp_path / "runs"))
    return House(tmp_path / "runs")


# On digits: a teacher worth the name, a student, a report, a file -------------------------------


@pytest.fixture(scope="session")
def distilled_once(shared: Path) -> House:
    """`kd distill` on digits."""

    def make(path: Path) -> None:
        with living_in(path):
            kd_ok(*ON_DIGITS)

    return House(once(shared / "distilled", make))


@pytest.fixture(scope="session")
def finished_once(distilled_once: House, shared: Path) -> House:
    """`kd distill`, `kd evaluate`, `kd export` on digits, timed as long as outside of tests."""

    def make(path: Path) -> None:
        from kdcli.core.latency import latency
        from kdcli.deploy import cost_comparison

        shutil.copytree(distilled_once.path, path)
        with living_in(path), pytest.MonkeyPatch.context() as patch:
            patch.setattr(cost_comparison, "latency", latency)
            kd_ok("evaluate")
            kd_ok("export")

    return House(once(shared / "finished", make))


@pytest.fixture
def distilled(distilled_once: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    """A copy to work in."""
    return distilled_once.copy(tmp_path / "runs", monkeypatch)


@pytest.fixture
def finished(finished_once: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    """A copy to work in."""
    return finished_once.copy(tmp_path / "runs", monkeypatch)


# On a few pictures: two steps an epoch, for whatever has to be trained again ---------------------


@pytest.fixture(scope="session")
def pictures(shared: Path) -> Path:
    """A folder of PNG files: 3 classes of 40 images."""
    from PIL import Image
    from sklearn.datasets import load_digits

    def make(folder: Path) -> None:
        digits = load_digits()
        for label, name in enumerate(("zero", "one", "two")):
            (folder / name).mkdir(parents=True)
            for i, image in enumerate(digits.images[digits.target == label][:40]):
                Image.fromarray((image * 15).astype("uint8")).save(folder / name / f"{i:02d}.png")

    return once(shared / "pictures", make)


@pytest.fixture(scope="session")
def small_once(pictures: Path, shared: Path) -> House:
    """`kd distill` on the pictures, 3 epochs."""

    def make(path: Path) -> None:
        with living_in(path):
            kd_ok(*on_pictures(pictures))

    return House(once(shared / "small", make))


@pytest.fixture
def small(small_once: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    """A copy to work in."""
    return small_once.copy(tmp_path / "runs", monkeypatch)
