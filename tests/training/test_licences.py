"""Licences of a run's ingredients: listed, warned about before the wait, reported, gated."""

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import onnx
import pytest
import timm
import torch
import yaml
from house import STUDENT, TEACHER, House, kd, kd_ok, save_untrained

from kdcli.core.progress import Silent
from kdcli.models.checkpoint import load_model
from kdcli.recipe.edit import update
from kdcli.recipe.schema import Recipe
from kdcli.report.licences import LicencePart, licence_line
from kdcli.runs.spec import DataRef, FileRef, Spec, TeacherRef
from kdcli.training.licences import entries_of, licences_of, warn_of_licences

DIGITS = DataRef(name="digits", location=None, identity={})
RANDOM = "trained from random weights; nothing to license"


class Said(Silent):
    """What was said, by how loud."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.warnings: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)

    def warn(self, line: str) -> None:
        self.warnings.append(line)


def spec_of(model: str = STUDENT, role: str = "student", **given: Any) -> Spec:
    settings = {"student.pretrained": given.pop("pretrained", False)} | given.pop("settings", {})
    made: dict[str, Any] = {"role": role, "model": model, "data": DIGITS, "recipe_name": "kd"}
    return Spec(**made | {"recipe": update(Recipe(), settings)} | given)


def taught_by(*above: Spec) -> dict[str, Any]:
    return {"teachers": tuple(TeacherRef(model=one.model, spec=one) for one in above)}


def short(entries: Iterable[LicencePart]) -> list[tuple[str, str, str | None, int]]:
    return [(one.role, one.what, one.licence, one.permissive) for one in entries]


# The list ----------------------------------------------------------------------------------------


def test_random_weights_have_nothing_to_license() -> None:
    entries = entries_of(spec_of(**taught_by(spec_of(TEACHER, "teacher"))))
    assert short(entries) == [
        ("teacher", TEACHER, None, 1),
        ("student", STUDENT, None, 1),
        ("data", "digits", "cc-by-4.0", 1),
    ]
    assert entries[0].note == RANDOM


def test_pretrained_weights_have_timms_licence_and_the_tag_that_was_taken() -> None:
    (start, _) = entries_of(spec_of("convnextv2_atto", pretrained=True))
    assert short([start]) == [("student", "convnextv2_atto.fcmae_ft_in1k", "cc-by-nc-4.0", 0)]
    assert start.note == "forbids commercial use"
    (start, _) = entries_of(spec_of("resnet50.tv2_in1k", pretrained=True))
    assert short([start]) == [("student", "resnet50.tv2_in1k", "bsd-3-clause", 1)]


def test_everyone_above_counts_once() -> None:
    head = spec_of("convnextv2_atto", "teacher", pretrained=True)
    between = spec_of(TEACHER, "assistant", **taught_by(head))
    found = entries_of(spec_of(peers=("mobileone_s0", STUDENT), **taught_by(between, head)))
    assert [(one.role, one.what) for one in found] == [
        ("teacher", "convnextv2_atto.fcmae_ft_in1k"),
        ("assistant", TEACHER),
        ("student", STUDENT),
        ("peer", "mobileone_s0"),
        ("peer", STUDENT),
        ("data", "digits"),
    ]


@pytest.mark.parametrize(("licence", "free"), [(None, 0), ("mit", 1), ("cc-by-nc-4.0", 0)])
def test_a_given_start_has_what_its_maker_states(licence: str | None, free: int) -> None:
    weights = FileRef(path="/home/me/w.pth", sha256="0", origin="hf-hub:a/b", licence=licence)
    (start, _) = entries_of(spec_of(pretrained=True, weights=weights))
    assert short([start]) == [("student", f"{STUDENT}, hf-hub:a/b", licence, free)]
    alone = weights.model_copy(update={"origin": ""})
    assert entries_of(spec_of(weights=alone))[0].what == f"{STUDENT}, w.pth", "no path is told"


def test_a_given_teacher_brings_what_its_file_says(tmp_path: Path) -> None:
    file = save_untrained(tmp_path / "model.pt", ("a", "b"))
    ref = TeacherRef(model=TEACHER, path=str(file), sha256="0")
    assert short(entries_of(spec_of(teachers=(ref,))))[0] == ("teacher", TEACHER, None, 0)
    raw = torch.load(file, weights_only=True)
    one = LicencePart(role="student", what="x.y", licence="mit", permissive=1, note="")
    photos = one.model_copy(update={"role": "data", "what": "photos"})
    raw["provenance"] = {"licences": [one.model_dump(), photos.model_dump()]}
    torch.save(raw, file)
    assert short(entries_of(spec_of(teachers=(ref,)))) == [
        ("teacher", "x.y", "mit", 1),
        ("student", STUDENT, None, 1),
        ("data", "photos", "mit", 1),
        ("data", "digits", "cc-by-4.0", 1),
    ]
    gone = ref.model_copy(update={"path": str(tmp_path / "gone.pt")})
    assert "gone" in entries_of(spec_of(teachers=(gone,)))[0].note


def _photos(folder: Path, licence: str = "auto") -> Spec:
    data = DataRef(name="photos", location=str(folder), identity={})
    return spec_of(data=data, settings={"data.licence": licence})


def test_a_folders_licence_is_its_files_else_the_recipes(tmp_path: Path) -> None:
    assert short(entries_of(_photos(tmp_path)))[-1] == ("data", "photos", None, 0)
    assert short(entries_of(_photos(tmp_path, "own")))[-1] == ("data", "photos", "own", 1)
    assert short(entries_of(_photos(tmp_path, "CC BY 4.0")))[-1][2:] == ("CC BY 4.0", 1)
    assert short(entries_of(_photos(tmp_path, "ask Eva")))[-1][2:] == ("ask Eva", 0)
    (tmp_path / "LICENSE.txt").write_text("Creative Commons Attribution-NonCommercial 4.0 Inter")
    (*_, found) = entries_of(_photos(tmp_path))
    assert short([found]) == [("data", "photos", "cc-by-nc-4.0", 0)]
    assert found.note == "forbids commercial use (LICENSE.txt)"
    (*_, found) = entries_of(_photos(tmp_path, "own"))
    assert found.note == "the user's own (data.licence; LICENSE.txt says cc-by-nc-4.0)"


def test_images_without_labels_are_named_too(tmp_path: Path) -> None:
    further = DataRef(name="further", location=str(tmp_path), identity={})
    found = short(entries_of(spec_of(unlabelled=further)))
    assert ("data", "further", None, 0) in found


# No digest ---------------------------------------------------------------------------------------


def test_a_licence_changes_no_digest() -> None:
    plain = spec_of()
    assert spec_of(settings={"data.licence": "own"}).digest == plain.digest
    assert spec_of(settings={"data.subset": 0.5}).digest != plain.digest
    weights = FileRef(path="w.pth", sha256="0")
    stated = weights.model_copy(update={"licence": "mit", "origin": "hf-hub:a/b"})
    assert spec_of(weights=weights).digest == spec_of(weights=stated).digest


def test_digests_are_those_of_earlier_kds() -> None:
    """What was trained before licences were recorded is still found."""
    spec = spec_of(seed=3, **taught_by(spec_of(TEACHER, "teacher")))
    assert spec.digest == "d7401f77"


# Before the wait ---------------------------------------------------------------------------------


def told(spec: Spec) -> Said:
    said = Said()
    warn_of_licences(spec, said)
    return said


def test_nothing_is_said_of_permissive_ones() -> None:
    found = told(spec_of("resnet50.tv2_in1k", pretrained=True))
    assert (found.lines, found.warnings) == ([], [])


def test_conditions_of_their_own_are_listed_but_not_warned_about() -> None:
    spec = spec_of("mobileone_s0", pretrained=True)
    assert told(spec).warnings == []
    assert entries_of(spec)[0].permissive == 0


def test_a_warning_names_free_weights_of_the_same_architecture() -> None:
    head = spec_of("resnet50.fb_ssl_yfcc100m_ft_in1k", "teacher", pretrained=True)
    (line,) = told(spec_of(**taught_by(head))).warnings
    assert "teacher resnet50.fb_ssl_yfcc100m_ft_in1k, licence cc-by-nc-4.0, forbids" in line
    other, licence = line.rpartition(": ")[2].split(" is ")
    assert timm.get_pretrained_cfg(other).license == licence
    assert other.startswith("resnet50.")


def test_where_there_are_none_random_weights_are_the_way_out() -> None:
    head = spec_of("convnextv2_atto", "teacher", pretrained=True)
    (line,) = told(head).warnings
    assert "--set student.pretrained=false" in line, "kd train: the recipe is its own"
    (line,) = told(spec_of(**taught_by(head))).warnings
    assert "--set teacher.pretrained=false" in line


def test_a_folder_of_ones_own_is_one_calm_line(tmp_path: Path) -> None:
    found = told(_photos(tmp_path))
    assert found.lines == []
    assert found.warnings == [
        "photos: licence unknown; --set data.licence=own says that the images are yours"
    ]
    assert told(_photos(tmp_path, "own")).warnings == []


# Whole commands ----------------------------------------------------------------------------------


def test_the_digits_are_permissive_throughout(finished_once: House) -> None:
    run = finished_once.student
    report = json.loads((run / "report.json").read_text("utf-8"))["licences"]
    assert report["all_permissive"] == 1
    assert [one["role"] for one in report["entries"]] == ["teacher", "student", "data"]
    page = (run / "report.md").read_text("utf-8")
    assert "licences: all permissive" in page
    assert "| data | digits | cc-by-4.0 |" in page
    found = kd_ok("inspect", run, "--json").document["licences"]
    assert found == report
    assert "data digits: cc-by-4.0" in kd_ok("inspect", run).out


def test_an_onnx_file_names_them_and_no_path(finished_once: House) -> None:
    run = finished_once.student
    model = onnx.load(run / "export" / "model.onnx")
    texts = {entry.key: entry.value for entry in model.metadata_props}
    licences = json.loads(texts["kd.licences"])
    assert licences[-1] == {"role": "data", "what": "digits", "licence": "cc-by-4.0"}
    origin = json.loads(texts["kd.provenance"])
    assert (origin["run"], origin["recipe"], origin["seed"]) == (run.name, "kd", 0)
    assert origin["teachers"] == [TEACHER]
    assert origin["kd"]
    assert str(run.parent) not in json.dumps(texts)


def test_a_file_alone_tells_what_its_run_told(finished: House, tmp_path: Path) -> None:
    file = (finished.student / "model.pt").rename(tmp_path / "alone.pt")
    found = kd_ok("inspect", file, "--json").document["licences"]
    assert found["all_permissive"] == 1
    assert len(found["entries"]) == 3


def test_a_licence_said_later_trains_nothing(small: House, pictures: Path) -> None:
    from house import on_pictures

    before = (small.student / "model.pt").read_bytes()
    answer = kd_ok(*on_pictures(pictures), "--set", "data.licence=own")
    assert "nothing to train" in answer.err
    assert "licence unknown" not in answer.err
    assert (small.student / "model.pt").read_bytes() == before
    raw = yaml.safe_load((small.student / "run.yaml").read_text("utf-8"))
    assert raw["spec"]["recipe"]["data"]["licence"] == "own"
    assert kd_ok("inspect", small.student, "--json").document["licences"]["all_permissive"] == 1


@pytest.mark.slow
def test_a_start_that_forbids_commercial_use_is_told_before_and_gated_after(
    empty_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def licence(name: str) -> str:
        return "cc-by-nc-4.0"

    monkeypatch.setattr("kdcli.training.licences.licence_of", licence)
    monkeypatch.setattr("kdcli.training.licences.free_weights", lambda name: {})
    monkeypatch.setattr("kdcli.training.ensure.ensure_reachable", lambda name: None)
    monkeypatch.setattr("kdcli.training.learner.ensure_reachable", lambda name: None)
    real = timm.create_model
    monkeypatch.setattr(timm, "create_model", lambda n, pretrained, **o: real(n, **o))
    line = ("train", STUDENT, "--set", "student.pretrained=true", "--set", "train.epochs=1")
    warning = "test_efficientnet.r160_in1k, licence cc-by-nc-4.0, forbids commercial use"
    planned = kd_ok(*line, "--dry-run")
    assert warning in planned.err
    assert not empty_house.runs()
    answer = kd_ok(*line)
    assert answer.err.count(warning) == 1
    assert answer.err.index(warning) < answer.err.index("plan: ")
    run = empty_house.teacher
    recorded = licences_of(load_model(run / "model.pt"))
    assert recorded.all_permissive == 0
    assert "r160_in1k: cc-by-nc-4.0" in licence_line(recorded)
    missed = kd("evaluate", run, "--min", "licences.all_permissive=1")
    assert missed.code == 8
    assert "licences.all_permissive is 0" in missed.err
    assert warning not in missed.err
    missed = kd("export", run, "--min", "licences.all_permissive=1")
    assert missed.code == 8
    assert warning not in missed.err


def test_images_that_were_moved_are_warned_of_once(
    small: House, pictures: Path, tmp_path: Path
) -> None:
    place = shutil.copytree(pictures, tmp_path / "photos")
    line = ("distill", "--teacher", small.teacher, "--student", STUDENT, "--data", place)
    said = kd_ok(*line, "--set", "teacher.allow_weak=true", "--dry-run").err.splitlines()
    unknown = [row for row in said if "licence unknown" in row]
    assert len(unknown) == 1
    assert "photos: licence unknown" in unknown[0]
    few = [row for row in said if "12 validation images: the choice of epoch" in row]
    assert len(few) == 1
