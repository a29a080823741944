"""The model card: filled from a report, whatever names stand in it."""

import json
from dataclasses import replace
from typing import Any

import pytest
import yaml
from house import House, kd_ok

from kdcli.deploy.model_card import Origin, model_card
from kdcli.report.comparison import Comparison
from kdcli.report.export import FoldPart
from kdcli.report.licences import LicencePart, LicencesPart, licence_line, licence_of_all
from kdcli.report.markdown_text import plain
from kdcli.report.model import ModelPart, Range
from kdcli.report.schema import DataPart, Report

ORIGIN = Origin(
    name="kd-resnet18",
    model="resnet18",
    classes=("ankle_boot", "*star*", "a | b", "x\ny", "<script>"),
    input_size=64,
    image_size=64,
    teachers=("resnet101 x 3",),
    recipe="kd: scheme offline; kd (weight 0.9)",
    data="my_photos",
    seed=3,
    epochs=30,
    versions="torch 2.15.0",
)
BLANK = Report(
    run="kd-resnet18",
    model_sha256="0" * 64,
    models={"student": ModelPart(name="resnet18", params=9)},
)
VERDICT = "Distillation helped by 2.0 points (95% CI +1.0 to +3.0)."


def _range(low: float, high: float) -> Range:
    return Range(low=low, high=high)


def _evaluated() -> Report:
    def part(name: str, accuracy: float) -> ModelPart:
        return ModelPart(
            name=name,
            params=9,
            accuracy=accuracy,
            accuracy_ci95=_range(accuracy - 0.011, accuracy + 0.009),
        )

    return BLANK.model_copy(
        update={
            "data": DataPart(name="my_photos", is_default=0, classes=5, test_images=1200),
            "models": {
                "teacher": part("resnet101", 0.95),
                "student": part("resnet18", 0.92),
                "baseline": part("resnet18", 0.90),
            },
            "comparison": Comparison(
                gain=0.02,
                gain_ci95=_range(0.01, 0.03),
                p_value=0.01,
                detectable_gain=0.01,
                seeds=3,
                verdict_code="helped",
            ),
            "verdict": VERDICT,
            "notes": ["a note_with_underscores"],
        }
    )


def _front(card: str) -> dict[str, Any]:
    begin, front, _ = card.split("---\n", 2)
    assert begin == ""
    found: dict[str, Any] = yaml.safe_load(front)
    return found


def test_with_a_verdict() -> None:
    card = model_card(_evaluated(), ORIGIN, None, 0.92)
    assert f"**{plain(VERDICT)}**" in card
    assert "0.909 to 0.929" in card
    assert "gain over the baseline +2.0 points (95% CI +1.0 to +3.0" in card
    assert "- teacher: resnet101 x 3" in card
    assert "- seed 3; the figures are means over 3 seeds" in card
    assert "- baseline: resnet18, trained as long" in card
    assert "Accuracy of these weights on test: 0.9200" in card
    assert "1,200 test images of my_photos" in card


def test_without_evaluation() -> None:
    card = model_card(BLANK, replace(ORIGIN, teachers=(), data=None), None, None)
    assert "It has not been evaluated" in card
    assert "baseline" not in card
    assert "Accuracy of these" not in card
    assert "knowledge-distillation" not in _front(card)["tags"]


def test_its_front_matter_is_what_the_hub_reads() -> None:
    card = model_card(BLANK, replace(ORIGIN, datasets=("zalando/fashion_mnist",)), None, None)
    front = _front(card)
    assert front["library_name"] == "timm"
    assert front["license"] == "unknown"
    assert front["datasets"] == ["zalando/fashion_mnist"]
    assert {"image-classification", "timm", "knowledge-distillation"} <= set(front["tags"])
    free = replace(ORIGIN, licence="apache-2.0", licences=("teacher resnet101: apache-2.0",))
    card = model_card(BLANK, free, None, None)
    assert _front(card)["license"] == "apache-2.0"
    assert "## Licences\n\n- teacher resnet101: apache-2.0" in card
    assert "No licence is stated" not in card


def test_names_are_shown_as_they_are() -> None:
    card = model_card(BLANK, ORIGIN, None, None)
    assert "Classes: ankle_boot, \\*star\\*, a | b, x\\ny, \\<script\\>." in card.replace(
        "\\\\", "\\"
    )
    many = replace(ORIGIN, classes=tuple(f"class {i}" for i in range(1000)))
    assert "all of them stand in config.json" in model_card(BLANK, many, None, None)


@pytest.mark.parametrize("folder", ["/home/me/runs/a", "'/home/my own/a'", "'/home/it'\"'\"'s/a'"])
def test_no_folder_of_this_machine_is_told(folder: str) -> None:
    lines = {"verdict": f"Luck: kd evaluate {folder} --seeds 3", "notes": [f"kd export {folder}"]}
    card = model_card(_evaluated().model_copy(update=lines), ORIGIN, None, None)
    assert "kd evaluate RUN --seeds 3" in card
    assert "- kd export RUN\n" in card
    assert "home" not in card


def test_a_bar_in_a_name_does_not_break_the_table() -> None:
    report = BLANK.model_copy(update={"models": {"student": ModelPart(name="a|b_c", params=9)}})
    (row,) = [
        line for line in model_card(report, ORIGIN, None, None).splitlines() if "model |" in line
    ]
    assert "a\\|b_c" in row


def test_folded_heads_and_another_size_are_told() -> None:
    fold = FoldPart(wanted="auto", heads=3, folded=1, reason="a mean of logits folds exactly")
    card = model_card(_evaluated(), replace(ORIGIN, image_size=32), fold, 0.9)
    assert "3 heads folded into one" in card
    assert "images of 32 pixels a side, brought to 64 in a second step" in card


@pytest.mark.parametrize(
    ("licences", "whole"),
    [
        (["own", "apache-2.0", "apache-2.0"], "apache-2.0"),
        (["CC BY 4.0", "apache-2.0"], "apache-2.0"),
        (["own", "apache-2.0", "mit"], "other"),
        ([None, "apache-2.0"], None),
        (["own"], None),
    ],
)
def test_one_word_for_all_licences(licences: list[str | None], whole: str | None) -> None:
    """Images first: weights are not under theirs, but nothing is claimed where it is not known."""
    roles = ["data", "teacher", "student"]
    entries = [
        LicencePart(role=role, what="w", licence=one, permissive=int(one is not None), note="")
        for role, one in zip(roles, licences, strict=False)
    ]
    assert licence_of_all(LicencesPart(all_permissive=0, entries=entries)) == whole


def test_the_card_says_of_licences_what_the_report_says(finished: House) -> None:
    kd_ok("export", finished.student, "--format", "timm")
    report = json.loads((finished.student / "report.json").read_text("utf-8"))
    line = licence_line(LicencesPart.model_validate(report["licences"]))
    card = (finished.student / "timm" / "README.md").read_text("utf-8")
    assert line == "licences: all permissive, of weights and images"
    assert line in card
    assert "No licence is stated" not in card
    word = licence_of_all(LicencesPart.model_validate(report["licences"])) or "unknown"
    assert f"license: {word}\n" in card
