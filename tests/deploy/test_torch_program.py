"""`kd export --format torch`: the program that torch.export keeps, and what lies in it."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from house import House, kd, kd_ok, save_untrained

from kdcli.deploy import torch_program
from kdcli.models.loading import load

NAMES = ("größer", "two", "three")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lone model.pt with its program beside it."""
    path = save_untrained(tmp_path_factory.mktemp("torch") / "mine.pt", NAMES)
    kd_ok("export", path, "--format", "torch")
    return path


@pytest.mark.parametrize("batch", [1, 7, 32])
def test_it_answers_as_the_module_does(batch: int, model: Path) -> None:
    program = torch.export.load(model.parent / "mine-export" / "mine.pt2").module()
    images = torch.randn(batch, 3, 32, 32, generator=torch.Generator().manual_seed(batch))
    with torch.no_grad():
        torch.testing.assert_close(program(images), load(model).module(images), atol=1e-5, rtol=0)


def test_it_says_how_it_is_fed(model: Path) -> None:
    about = {"kd.json": ""}
    torch.export.load(model.parent / "mine-export" / "mine.pt2", extra_files=about)
    told = json.loads(about["kd.json"])
    assert tuple(told["classes"]) == NAMES
    assert (told["input_size"], len(told["mean"]), len(told["std"])) == (32, 3, 3)
    assert "licence" in told


def test_no_folder_of_this_machine_is_written(model: Path) -> None:
    here = [str(Path(torch.__file__).parent.parent), str(model.parent), str(Path(__file__).parent)]
    with zipfile.ZipFile(model.parent / "mine-export" / "mine.pt2") as archive:
        for name in archive.namelist():
            content = archive.read(name)
            assert not [place for place in here if place.encode() in content], name


def test_a_program_that_disagrees_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = save_untrained(tmp_path / "model.pt", NAMES)
    load_back = torch_program._loaded

    def disturbed(path: Path) -> Callable[[torch.Tensor], torch.Tensor]:
        program = load_back(path)
        return lambda images: program(images) + 2e-5

    monkeypatch.setattr(torch_program, "_loaded", disturbed)
    answer = kd("export", model, "--format", "torch")
    assert answer.code == 8
    assert "was removed" in answer.err
    assert not list(tmp_path.rglob("*.pt2*"))


@pytest.mark.slow
def test_of_a_run(distilled: House) -> None:
    """On its test images, into the folder of its exports, which --again clears."""
    document = kd_ok("export", distilled.student, "--format", "torch", "--json").document
    (entry,) = document["packages"]
    assert document["file"] == str(distilled.student / "export" / "model.pt2")
    assert (entry["format"], entry["path"]) == ("torch", "export/model.pt2")
    assert entry["written_by"] == f"torch {torch.__version__}"
    assert entry["parity"]["images"] == 540
    assert entry["accuracy"] > 0.5
    assert document["exports"] is None


def test_another_ending_is_refused(model: Path, tmp_path: Path) -> None:
    answer = kd("export", model, "--format", "torch", "--out", tmp_path / "model.onnx")
    assert answer.code == 2
    assert "model.pt2" in answer.err
