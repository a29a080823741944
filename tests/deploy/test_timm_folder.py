"""`kd export --format timm`: what timm, the Hub and kd itself make of the folder."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from house import STUDENT, House, kd, kd_ok, save_untrained
from numpy.typing import NDArray
from PIL import Image

from kdcli.core.errors import UnmetNeeds
from kdcli.core.files import sha256
from kdcli.core.progress import Silent
from kdcli.data.images import fit
from kdcli.deploy import timm_folder
from kdcli.models.checkpoint import load_model, save_model
from kdcli.models.given import parse
from kdcli.models.loading import load
from kdcli.models.model_args import ModelArgs
from kdcli.models.tap import Tap
from kdcli.models.timm_folder import refuse_unknown_to_timm
from kdcli.runs.inventory import inventory
from kdcli.runs.run import Run

FILES = {"config.json", "model.safetensors", "README.md"}
NAMES = ("größer | als", "*two*", "three", "cat\udcff")


@pytest.fixture(scope="module")
def packaged(finished_once: House, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with its folder for timm."""
    run = tmp_path_factory.mktemp("packaged") / finished_once.student.name
    shutil.copytree(finished_once.student, run)
    kd_ok("export", run, "--format", "timm")
    return run


def _config(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "config.json").read_text("utf-8"))
    return found


def _changed(model: Path, **changes: Any) -> None:
    """The same model.pt with other arguments."""
    file = load_model(model)
    save_model(replace(file, model=file.model | changes), model)


# What timm makes of it ---------------------------------------------------------------------------


def test_timm_loads_the_very_weights(packaged: Path) -> None:
    again = timm.create_model(f"local-dir:{packaged / 'timm'}", pretrained=True)
    expected = load_model(packaged / "model.pt").state_dict
    found = again.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], expected[key]) for key in found)
    assert list(again.pretrained_cfg["label_names"]) == list("0123456789")
    assert {f.name for f in (packaged / "timm").iterdir()} == FILES


def _prepared(run: Path, pixels: NDArray[np.uint8]) -> torch.Tensor:
    """As kd evaluates it."""
    loaded = load(run / "model.pt")
    seen = torch.tensor(fit(pixels, loaded.args.input_size)).permute(2, 0, 1)[None]
    return Tap(loaded.module, loaded.args, "").prepare(seen / 255)


def test_its_config_says_nothing_of_timms_own_weights(packaged: Path) -> None:
    config = _config(packaged / "timm")
    assert config["architecture"] == STUDENT
    assert config["num_classes"] == 10
    assert not {"license", "tag", "origin_url", "url", "hf_hub_id"} & set(config["pretrained_cfg"])
    assert config["pretrained_cfg"]["crop_pct"] == 1.0
    assert config["kd"]["data"] == "digits"


def test_the_lines_of_its_card_run(
    packaged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A photograph lying on its side, no square: prepared as kd does, to the bit."""
    card = (packaged / "timm" / "README.md").read_text("utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    pixels = np.random.default_rng(0).integers(0, 256, (61, 90, 3), dtype=np.uint8)
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(np.rot90(pixels)).save(tmp_path / "photo.png", exif=turned)
    monkeypatch.chdir(tmp_path)
    there = code.replace("local-dir:.", f"local-dir:{packaged / 'timm'}")
    found: dict[str, Any] = {}
    exec(there.replace("photo.jpg", "photo.png"), found)
    assert found["logits"].shape == (1, 10)
    prepared = found["transform"](found["image"])[None]
    torch.testing.assert_close(prepared, _prepared(packaged, pixels))
    assert "gain over the baseline" in card
    assert str(packaged.parent) not in card
    assert "teacher: test" in card.replace("\\", "")


# The report --------------------------------------------------------------------------------------


def test_it_is_in_the_report(packaged: Path) -> None:
    report = json.loads((packaged / "report.json").read_text("utf-8"))
    (entry,) = report["packages"]
    assert (entry["format"], entry["path"]) == ("timm", "timm")
    assert entry["sha256"] == sha256(packaged / "timm" / "model.safetensors")
    assert entry["parity"]["max_abs"] <= 1e-6
    assert entry["parity"]["images"] == 540
    assert entry["accuracy"] == pytest.approx(report["models"]["student"]["accuracy"])
    assert len(report["exports"]) == 1, "the ONNX file stays on record"
    assert "`timm`" in (packaged / "report.md").read_text("utf-8")


def test_gates_and_json(packaged: Path, tmp_path: Path) -> None:
    line = ("export", packaged, "--format", "timm", "--out", tmp_path / "there", "--json")
    answer = kd(*line, "--max", "packages.0.bytes=10", "--min", "packages.0.accuracy=0")
    assert answer.code == 8
    passed = {gate["gate"]: gate["passed"] for gate in answer.document["gates"]}
    assert passed == {"max packages.0.bytes": False, "min packages.0.accuracy": True}
    assert answer.document["file"] == str(tmp_path / "there")
    assert {Path(file).name for file in answer.document["files"]} == FILES


# What kd makes of it -----------------------------------------------------------------------------


def test_kd_takes_it_back(tmp_path: Path) -> None:
    """Names of any kind, and a lone model.pt: the folder is called like it."""
    model = save_untrained(tmp_path / "mine.pt", NAMES)
    answer = kd_ok("export", model, "--format", "timm")
    folder = tmp_path / "mine-timm"
    assert f"next: hf upload YOUR-NAME/MODEL {folder}" in answer.out
    given = parse(f"local-dir:{folder}", Silent())
    assert given.classes == NAMES
    assert given.size == 32
    document = kd_ok("inspect", f"local-dir:{folder}", "--json").document
    assert len(document["classes"]) == 4
    assert document["module"]["params"] > 0
    said = kd_ok("inspect", f"local-dir:{folder}").out
    assert "größer | als, *two*, three, cat" in said
    assert f"next: kd export local-dir:{folder}" in said
    report = json.loads((tmp_path / "mine.report.json").read_text("utf-8"))
    assert report["models"]["student"]["params"] > 0
    assert report["packages"][0]["accuracy"] is None


# All or nothing ----------------------------------------------------------------------------------


def test_a_folder_that_answers_otherwise_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = save_untrained(tmp_path / "model.pt", NAMES)
    kd_ok("export", model, "--format", "timm")
    before = (tmp_path / "model-timm" / "model.safetensors").read_bytes()
    save = timm_folder.save_weights
    monkeypatch.setattr(
        timm_folder,
        "save_weights",
        lambda weights, path: save({k: v * 1.1 for k, v in weights.items()}, path),
    )
    answer = kd("export", model, "--format", "timm")
    assert answer.code == 8
    assert "was removed" in answer.err
    assert (tmp_path / "model-timm" / "model.safetensors").read_bytes() == before
    assert not list(tmp_path.glob(".*.tmp"))


def test_an_earlier_folder_of_kd_is_replaced(tmp_path: Path) -> None:
    model = save_untrained(tmp_path / "model.pt", NAMES)
    for _ in range(2):
        kd_ok("export", model, "--format", "timm")
    (tmp_path / "model-timm" / "notes.txt").write_text("mine")
    answer = kd("export", model, "--format", "timm")
    assert answer.code == 2
    assert "notes.txt" in answer.err


def test_somebody_elses_model_is_left_alone(tmp_path: Path) -> None:
    model = save_untrained(tmp_path / "model.pt", NAMES)
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "config.json").write_text('{"architecture": "resnet18"}')
    answer = kd("export", model, "--format", "timm", "--out", theirs)
    assert answer.code == 2
    assert "that kd did not write" in answer.err


# What timm cannot build --------------------------------------------------------------------------


def test_a_changed_stem_is_refused(tmp_path: Path) -> None:
    model = save_untrained(tmp_path / "model.pt", NAMES)
    _changed(model, stem_stride=1)
    answer = kd("export", model, "--format", "timm")
    assert answer.code == 2
    assert "--set student.stem_stride=null" in answer.err
    assert "--format onnx" in answer.err


def test_heads_that_are_kept_are_refused(tmp_path: Path) -> None:
    model = save_untrained(tmp_path / "model.pt", NAMES)
    file = load_model(model)
    doubled = {k: torch.cat([v, v]) for k, v in file.state_dict.items() if k.startswith("fc.")}
    args = file.model | {"heads": 2, "aggregate": "logits"}
    save_model(replace(file, model=args, state_dict=file.state_dict | doubled), model)
    answer = kd("export", model, "--format", "timm", "--fold", "never")
    assert answer.code == 2
    assert "2 heads" in answer.err
    kd_ok("export", model, "--format", "timm")  # a mean of logits folds exactly
    assert _config(tmp_path / "model-timm")["num_classes"] == 4


@pytest.mark.parametrize(
    "changes",
    [{"copies": 2}, {"exit": 1, "maps": ((8, 4, 4), (16, 2, 2))}],
    ids=["copies", "an exit"],
)
def test_modules_of_kd_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(UnmetNeeds, match="is a module of kd"):
        refuse_unknown_to_timm(ModelArgs(STUDENT, 10, 32, **changes))


# The run's folder --------------------------------------------------------------------------------


def test_another_model_of_a_run_has_a_folder_of_its_own(distilled: House) -> None:
    run = distilled.student
    shutil.copy(run / "model.pt", run / "model.peer_1.pt")
    (run / "timm.mine").mkdir()
    (run / "timm.mine" / "README.md").write_text("mine")
    kd_ok("export", run, "--which", "peer_1", "--format", "timm")
    (there,) = [one for one in inventory() if one.path == run]
    sizes = [file.stat().st_size for file in (run / "timm.peer_1").iterdir()]
    assert there.sizes["timm.peer_1"] == sum(sizes)
    assert "timm.mine" not in there.sizes, "a person's own"


def test_again_clears_what_kd_wrote(packaged: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    shutil.copytree(packaged, run.path)
    assert run.exported().keys() == {"export", "timm"}
    assert {f.name for f in run.exported()["timm"]} == FILES
    (run.path / "timm" / "mine.txt").write_text("mine")
    run.clear_exports()
    assert [f.name for f in (run.path / "timm").iterdir()] == ["mine.txt"]
    assert not run.exports.exists()
