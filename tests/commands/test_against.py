"""`kd evaluate --against` and `--test`: the release, new images, what pipelines are left."""

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest
from house import House, kd, kd_ok, on_pictures, save_untrained
from pictures import picture

NAMES = ("Äpfel", "<b>&|`x`", "zwei Wörter")


@pytest.fixture
def trained(small: House, pictures: Path) -> tuple[Path, Path]:
    """A release, and a run of the same images from another seed."""
    release = small.student
    kd_ok(*on_pictures(pictures), "--seed", "1")
    return release, small.student_of_seed(1)


def _files(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.suffix != ".log"}


def test_a_run_is_held_against_a_release(
    trained: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, run = trained
    shown = tmp_path / "summary.md"
    shown.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(shown))
    gates = ("--max-drop", "student.accuracy=-50%", "--max-ratio", "student.params=1")
    answer = kd(
        "evaluate", run, "--against", release, *gates, "--junit", tmp_path / "g.xml", "--json"
    )
    assert answer.code == 8
    found = answer.document["against"]
    assert found["release"] == str(release)
    assert found["params"]["ratio"] == 1
    assert found["latency_ms"]["ratio"] > 0
    drop, ratio = answer.document["gates"]
    accuracy = answer.document["models"]["student"]["accuracy"]
    assert drop["value"] == pytest.approx(found["accuracy"] - accuracy)
    assert drop["ci95"]["low"] == pytest.approx(-found["gain_ci95"]["high"])
    assert (drop["passed"], ratio["passed"]) == (False, True)
    root = ElementTree.parse(tmp_path / "g.xml").getroot()
    assert (root.get("tests"), root.get("failures")) == ("2", "1")
    assert shown.read_text("utf-8").startswith("before\n### 1 of 2 gates missed")
    kept = json.loads((run / "report.json").read_text("utf-8"))
    assert kept["against"] == found
    assert f"## Against {release}" in (run / "report.md").read_text("utf-8")
    kd_ok("evaluate", run)
    assert "against" not in json.loads((run / "report.json").read_text("utf-8"))


@pytest.mark.slow
def test_a_record_and_a_file_are_releases_too(finished: House, tmp_path: Path) -> None:
    run = finished.student
    for name in ("report.json", "predictions.npz"):
        shutil.copy(run / name, tmp_path / name)
    record, file = tmp_path / "report.json", run / "export" / "model.onnx"
    gates = (
        "--max-ratio",
        "student.file_bytes=1",
        "--max-ratio",
        "student.latency_ms.onnxruntime.p50=9",
    )
    answer = kd("evaluate", run, "--against", record, *gates, "--json")
    size, time = answer.document["gates"]
    assert (size["passed"], time["value"], time["passed"]) == (True, None, False)
    assert "record without its model" in time["why"]
    against = answer.document["against"]
    assert (against["same_model"], against["flips"]["count"], against["p_value"]) == (1, 0, 1)
    shutil.copy(run / "model.pt", tmp_path)
    assert kd("evaluate", run, "--against", record, *gates[2:]).code == 0, (
        "its model lies beside it"
    )
    against = kd_ok("evaluate", run, "--against", file, "--json").document["against"]
    assert (against["gain"], against["params"]["ratio"], against["file_bytes"]["now"] > 0) == (
        0,
        None,
        True,
    )
    record.write_text(record.read_text("utf-8")[:900])
    assert kd("evaluate", run, "--against", record).code == 7
    shutil.copy(run / "report.json", record)
    (tmp_path / "predictions.npz").unlink()
    answer = kd("evaluate", run, "--against", record)
    assert (answer.code, "no predictions.npz beside it" in answer.err) == (2, True)


@pytest.mark.slow
def test_other_images_and_classes_are_refused(
    small: House, finished_once: House, tmp_path: Path
) -> None:
    answer = kd("evaluate", small.student, "--against", finished_once.student)
    assert (answer.code, "classes differ" in answer.err) == (2, True)
    twin = save_untrained(tmp_path / "m.pt", ("one", "two", "zero"))
    assert (
        kd("evaluate", small.student, "--against", twin, "--max", "against.flips.count=99").code
        == 0
    )
    kd_ok("evaluate", small.student)
    shutil.copytree(small.student, tmp_path / "record")
    kept = tmp_path / "record" / "predictions.npz"
    import numpy as np

    arrays = dict(np.load(kept))
    np.savez(kept, **(arrays | {"sums": arrays["sums"] + 1}))
    answer = kd("evaluate", small.student, "--against", tmp_path / "record" / "report.json")
    assert (answer.code, "test images differ" in answer.err) == (2, True)


# New images --------------------------------------------------------------------------------------


def test_new_images_leave_the_run_as_it_is(finished: House, tmp_path: Path) -> None:
    """The run, its model.pt and its exported file say the same of the run's own test images."""
    run, before = finished.student, _files(finished.student)
    report = json.loads((run / "report.json").read_text("utf-8"))
    for thing in (run, run / "model.pt", run / "export" / "model.onnx"):
        found = kd_ok("evaluate", thing, "--test", "digits", "--against", run, "--json").document
        part, wanted = found["models"]["student"], report["models"]["student"]
        assert part["accuracy"] == wanted["accuracy"]
        assert part["recall"] == wanted["recall"]
        assert found["data"]["test_images"] == 540
        assert (found["comparison"], found["model"], found["against"]["gain"]) == (
            None,
            str(thing),
            0,
        )
        assert found["against"]["flips"] == {"count": 0, "fixed": 0, "images": []}
    assert _files(run) == before


def test_what_the_folder_holds_is_said(small: House, pictures: Path, tmp_path: Path) -> None:
    """All where there are class folders alone, else its test/; and what it has learnt from."""
    answer = kd_ok("evaluate", small.student, "--test", pictures, "--json")
    assert answer.document["data"]["test_images"] == 120
    assert "no splits in it: all of its images are measured" in answer.err
    assert "has learnt from 84 images of these" in answer.err
    for name in ("zero", "one"):
        shutil.copytree(pictures / name, tmp_path / "with" / "test" / name)
        shutil.copytree(pictures / name, tmp_path / "with" / "train" / name)
    answer = kd_ok("evaluate", small.student / "model.pt", "--test", tmp_path / "with", "--json")
    assert answer.document["data"]["test_images"] == 80
    assert "its test/ is measured" in answer.err
    assert "no images of 1 of 3 classes: two" in answer.err
    assert answer.document["data"]["test_images_by_class"] == {"one": 40, "two": 0, "zero": 40}
    shutil.rmtree(tmp_path / "with" / "test")
    assert kd("evaluate", small.student, "--test", tmp_path / "with").code == 3
    table = tmp_path / "new.csv"
    table.write_text(
        f"image,label\n{pictures / 'two' / '00.png'},two\n{pictures / 'one' / '00.png'},one\n"
    )
    found = kd_ok("evaluate", small.student, "--test", table, "--json").document
    assert found["data"]["test_images_by_class"] == {"one": 1, "two": 1, "zero": 0}


def test_names_of_any_kind_and_classes_that_it_does_not_know(tmp_path: Path) -> None:
    """Matched by name: the folders come in another order."""
    model = save_untrained(tmp_path / "model.pt", NAMES)
    for i, name in enumerate(NAMES):
        picture(tmp_path / "data" / name / f"{name}.png", i)
    key = f"student.recall.{NAMES[1]}=1.0"
    words = ("evaluate", model, "--test", tmp_path / "data", "--junit", tmp_path / "deep" / "g.xml")
    answer = kd(*words, "--min", key, "--min", "student.recall.Äpfel=0", "--markdown")
    assert answer.code in (0, 8)
    assert "``` <b>&\\|`x` ```" not in answer.out
    lost, held = ElementTree.parse(tmp_path / "deep" / "g.xml").getroot().iter("testcase")
    assert NAMES[1] in (lost.get("name") or "")
    assert "Äpfel" in (held.get("name") or "")
    picture(tmp_path / "data" / "Apfel" / "x.png", 9)
    answer = kd(*words)
    assert (answer.code, "it does not know: Apfel; did you mean 'Äpfel'" in answer.err) == (3, True)
    (tmp_path / "none").mkdir()
    assert kd("evaluate", model, "--test", tmp_path / "none").code == 3


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--markdown", "--json"), 2),
        (("--test", "digits", "--data", "digits"), 2),
        (("--test", "digits", "--seeds", "2"), 2),
        (("--junit", "/"), 2),
        (("--junit", "/proc/nowhere/g.xml"), 6),
        (("--test", "digits", "--max-drop", "student.accuracy=1%"), 2),
        (("--against", "no-such-release"), 2),
    ],
)
def test_mistakes_come_before_the_work(
    finished_once: House, words: tuple[str, ...], code: int
) -> None:
    answer = kd("evaluate", finished_once.student, *words)
    assert (answer.code, "Traceback" in answer.err) == (code, False)


def test_a_file_of_somebody_else_and_a_record_cannot_be_asked(
    finished_once: House, tmp_path: Path
) -> None:
    import onnx

    proto = onnx.load(finished_once.student / "export" / "model.onnx")
    del proto.metadata_props[:]
    onnx.save(proto, tmp_path / "bare.onnx")
    for thing in (tmp_path / "bare.onnx", finished_once.student / "report.json"):
        assert kd("evaluate", thing, "--test", "digits").code == 2
    answer = kd("evaluate", tmp_path / "bare.onnx")
    assert (answer.code, "--test DATA measures it" in answer.err) == (2, True)


def test_nothing_else_is_written_over(finished: House, tmp_path: Path) -> None:
    model = finished.student / "export" / "model.onnx"
    before = model.read_bytes()
    for words in (
        ("evaluate", model, "--test", "digits", "--junit", model),
        ("evaluate", finished.student, "--junit", finished.student / "run.yaml"),
        ("evaluate", finished.student, "--junit", "/dev/null"),
        ("report", finished.student, "--out", finished.student / "model.pt"),
        ("report", finished.student, "--out", "/dev/null"),
    ):
        assert kd(*words).code == 2, words
    assert model.read_bytes() == before
    gates = tmp_path / "gates.xml"
    for _ in range(2):
        kd_ok("evaluate", finished.student, "--min", "student.accuracy=0", "--junit", gates)
    assert Path("/dev/null").is_char_device()
