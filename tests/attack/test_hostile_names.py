"""A hostile string wherever a file may hold one: nothing that kd prints or writes obeys it (rows 30
and 41)."""

import contextlib
import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from colours import tensor_file
from house import QUICK_TEACHER, STUDENT, TEACHER, House, kd, save_untrained
from obeyed import EVIL, is_xml, no_html_of, no_markdown_of, no_orders
from PIL import Image
from pydantic import ValidationError

from kdcli.cli.console import Console
from kdcli.core.progress import Silent
from kdcli.core.text import in_csv
from kdcli.deploy import device
from kdcli.deploy.export_folder import fill
from kdcli.deploy.model_card import Origin, model_card
from kdcli.evaluation.page_facts.gather import gather
from kdcli.models.checkpoint import load_model, save_model
from kdcli.recipe.safe_yaml import from_yaml, to_yaml
from kdcli.report.gates import check_gates, parse_gates
from kdcli.report.junit import junit
from kdcli.report.markdown import markdown
from kdcli.report.page.page import draw
from kdcli.report.schema import Report
from kdcli.report.summary import summary
from kdcli.runs.run import Run, RunFile

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no such names there")


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where texts stand in a document."""
    if isinstance(value, str):
        yield path
    elif isinstance(value, dict | list):
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(one, (*path, key))


def put(document: Any, path: tuple[Any, ...], text: str) -> None:
    for key in path[:-1]:
        document = document[key]
    document[path[-1]] = text


def poisoned(raw: dict[str, Any], valid: Callable[[dict[str, Any]], object]) -> int:
    """The hostile string in place of every text that the format lets be any; how many."""
    count = 0
    for path in list(leaves(raw)):
        before = json.dumps(raw)
        put(raw, path, EVIL)
        try:
            valid(raw)
            count += 1
        except ValidationError:
            raw.clear()
            raw.update(json.loads(before))
    return count


@pytest.fixture
def hostile(finished: House) -> House:
    """A finished run whose record is a stranger's."""
    file = finished.student / "report.json"
    raw = json.loads(file.read_text("utf-8"))
    raw["notes"] = [*raw["notes"], "x"]
    raw["licences"] = {
        "all_permissive": 0,
        "entries": [{"role": "data", "what": "w", "licence": "l", "permissive": 0, "note": "n"}],
    }
    digest = raw["model_sha256"]
    assert poisoned(raw, Report.model_validate) > 10
    raw["model_sha256"] = digest  # else nobody would believe it
    raw["exports"][0]["path"] = "export/model.onnx"
    for model in raw["models"].values():
        model["recall"] = {EVIL: 0.5, "b": 0.7}
    file.write_text(json.dumps(raw), "utf-8")
    return finished


def test_pages_of_a_hostile_record(hostile: House, tmp_path: Path) -> None:
    report = Report.model_validate(json.loads((hostile.student / "report.json").read_text("utf-8")))
    gates = check_gates(parse_gates(("student.accuracy=1",), ()), report)
    no_markdown_of(markdown(report))
    no_markdown_of(summary(report, gates, EVIL))
    is_xml(junit(gates, EVIL).decode())
    origin = Origin(name=EVIL, model=EVIL, classes=(EVIL, "b"), input_size=8)
    texts = dict.fromkeys(("recipe", "data", "given", "versions", "licence", "licence_line"), EVIL)
    more: dict[str, Any] = {"teachers": (EVIL,), "licences": (EVIL,), "datasets": (EVIL,)}
    card = model_card(report, Origin(**vars(origin) | texts | more), None, None)
    no_markdown_of(card)
    no_html_of(draw(report, gather(Run(hostile.student), report, Silent())).html)

    place = tmp_path / "export"
    place.mkdir()
    shutil.copy(hostile.student / "export" / "model.onnx", place)
    fill(place, tmp_path, EVIL, report, Silent())
    no_markdown_of((place / "README.md").read_text("utf-8"))


def test_commands_on_a_hostile_record(hostile: House) -> None:
    run = hostile.student
    for line in (
        ("report", run),
        ("inspect", run),
        ("inspect", run, "--json"),
        ("list", "runs"),
        ("evaluate", run, "--min", "student.accuracy=1"),
    ):
        answer = kd(*line)
        assert answer.code in (0, 8), answer.err
        no_orders(answer.out + answer.err)
    look_at_everything(run)


def test_commands_on_a_hostile_run(finished: House) -> None:
    """run.yaml and metrics.jsonl."""
    run = finished.student
    raw = from_yaml((run / "run.yaml").read_text("utf-8"))
    assert poisoned(raw, RunFile.model_validate) > 5
    (run / "run.yaml").write_text(to_yaml(raw), "utf-8")
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    told = [line | {"ended": EVIL, "ships": EVIL, EVIL: EVIL} for line in lines]
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in told))
    for line in (("list", "runs"), ("inspect", run), ("report", run), ("evaluate", run)):
        for flags in ((), ("--json",)):
            answer = kd(*line, *flags)
            assert answer.code != 1, answer.err
            no_orders(answer.out + answer.err)


def test_a_hostile_model_file(tmp_path: Path) -> None:
    file = save_untrained(tmp_path / "model.pt", (EVIL, "b", "c"))
    known = load_model(file)
    made = dict.fromkeys(
        ("data", "given", "licence", "run", "recipe", "digest", "seed", "epochs"), EVIL
    )
    made |= {"teachers": [EVIL], "versions": {"kdcli": EVIL}}
    save_model(replace(known, provenance=made, recipe={"data": {EVIL: EVIL}}), file)
    for line in (("inspect", file), ("export", file, "--format", "timm")):
        answer = kd(*line)
        assert answer.code in (0, 2, 7), answer.err
        no_orders(answer.out + answer.err)
    look_at_everything(tmp_path)


@pytest.fixture
def stranger(tmp_path: Path) -> Path:
    """An ONNX file that is hostile in all that it says of itself."""
    classes = json.dumps([EVIL, "b", "c"])
    keys = ("model", "data", "licences", "provenance", "exit", "fused", "fold", "precision")
    said = {f"kd.{key}": EVIL for key in keys}
    path = tensor_file(tmp_path / "model.onnx", **{"kd.classes": classes}, **said)
    proto = onnx.load(path)
    proto.producer_name = proto.doc_string = proto.graph.name = EVIL
    onnx.save(proto, path)
    return path


def test_a_hostile_onnx_file(stranger: Path, tmp_path: Path) -> None:
    image = tmp_path / EVIL.replace("\n", "")
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(image, "png")
    for line in (("predict", stranger, image), ("inspect", stranger)):
        for flags in ((), ("--json",)):
            answer = kd(*line, *flags)
            assert answer.code in (0, 2, 7), answer.err
            no_orders(answer.out + answer.err)
    shutil.copy(Path(device.__file__).with_name("predict.py"), tmp_path)
    shutil.copy(Path(device.__file__).with_name("bench.py"), tmp_path)
    for script in (("predict.py", str(image)), ("bench.py", "--seconds", "0")):
        line = [sys.executable, str(tmp_path / script[0]), *script[1:]]
        done = subprocess.run(line, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        no_orders(done.stdout + done.stderr)


def look_at_everything(folder: Path) -> None:
    """All texts in a run, by their kinds."""
    looks = {".md": no_markdown_of, ".html": no_html_of, ".svg": is_xml, ".log": no_orders}
    for file in folder.rglob("*"):
        if look := looks.get(file.suffix):
            look(file.read_text("utf-8"))
    for labels in folder.rglob("labels.txt"):
        no_orders(labels.read_text("utf-8"))


@pytest.mark.attack
def test_hostile_names_all_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Classes, images, the data's folder, its licence and the run's own folder."""
    monkeypatch.setenv("KD_RUNS", str(tmp_path / "runs"))
    data = tmp_path / f"data {EVIL}"
    grey = np.random.default_rng(0)
    for split, count in (("train", 40), ("test", 20)):
        for label in range(3):
            place = data / split / f"{EVIL} {label}"
            place.mkdir(parents=True)
            for i in range(count):
                pixels = grey.integers(80 * label, 80 * label + 90, (8, 8, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(place / f"{i} {EVIL}.png")
    (data / "LICENSE").write_text(EVIL)
    who = ("--teacher", TEACHER, "--set", f"teacher.recipe={QUICK_TEACHER}", "--student", STUDENT)
    fast = ("--set", "train.epochs=2", "--set", "data.licence=" + json.dumps(EVIL))
    run = tmp_path / "runs" / f"mine {EVIL}"
    lines: list[tuple[str | Path, ...]] = [
        ("doctor", data),
        ("distill", *who, "--data", data, "--out", run, *fast),
        ("evaluate", run, "--min", "student.accuracy=0", "--junit", tmp_path / "gates.xml"),
        ("evaluate", run, "--markdown"),
        ("export", run),
        ("export", run, "--format", "timm"),
        ("inspect", run),
        ("predict", run, data / "test"),
        ("list", "runs"),
    ]
    lines += [("compare", run, "TEACHER", flag) for flag in ("--markdown", "--csv", "--json")]
    for line in lines:
        teacher = next((tmp_path / "runs").glob("teacher-*"), tmp_path)
        line = tuple(teacher if word == "TEACHER" else word for word in line)
        answer = kd(*line)
        assert answer.code == 0, (line, answer.err)
        no_orders(answer.out + answer.err)
    look_at_everything(tmp_path)


def test_a_bar_a_board_and_a_question(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal; `[/]` would end the program if it were read as markup."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    with contextlib.redirect_stderr(io.StringIO()) as err:
        console = Console(out=io.StringIO())
        console.board([f"{EVIL} [/]"])
        console.board([])
        for _ in console.track(range(2), 2, f"{EVIL} [/]"):
            console.note(f"{EVIL} [/]")
    shown = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", err.getvalue())  # rich's own
    no_orders(shown.replace("\r", ""))
    assert ":boom:" in shown


def test_cells_of_a_table_are_no_formulas() -> None:
    for text in (EVIL, "+1", "-1+2", "@SUM(A1)", "\t=1"):
        assert in_csv(text) == f"'{text}"
    for plain in ("resnet18", "a=b", -0.3, 7):
        assert in_csv(plain) == plain
