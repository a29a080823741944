"""`kd match`: both models' stages, who answers whom, what that allows."""

import pytest
from house import kd, kd_ok

from kdcli.core import registry

TINY = ("--teacher", "test_resnet", "--student", "test_efficientnet")


def document(*arguments):
    return kd_ok("match", *arguments, "--json").document


def test_what_a_person_reads():
    answer = kd_ok("match", *TINY, "--data", "digits")
    for word in ("student test_efficientnet, 32 pixels", "teacher test_resnet", "who answers whom"):
        assert word in answer.out
    assert "on images of digits" in answer.out
    assert "match.pairs=[[1, 1], [2, 2], [3, 3], [4, 4]]" in answer.out


def test_of_several_teachers_one_has_to_be_named():
    teachers = "who={teachers: [{model: test_resnet, seeds: 3}, test_vit], student: test_vit}"
    answer = kd("match", "--set", teachers)
    assert answer.code == 2
    assert "who.teachers of recipe kd names test_resnet, test_vit" in answer.err
    assert "say which: --teacher test_resnet" in answer.err
    kd_ok("match", "--set", teachers, "--teacher", "test_vit")


def test_a_document():
    found = document(*TINY, "--data", "digits")
    assert [a["student"]["stride"] for a in found["answers"]] == [4, 8, 16, 32]
    assert [a["teacher_signed"] for a in found["answers"]] == [False] * 4
    assert [a["student_signed"] for a in found["answers"]] == [True] * 4
    assert {use["method"] for use in found["methods"]} == set(registry.names("methods"))
    uses = {use["method"]: use for use in found["methods"]}
    assert uses["at"]["works"]
    assert uses["fitnet"]["parameters"] > 0
    assert "no distillation head" in uses["deit"]["reason"]


def test_without_data_signs_are_unknown():
    found = document(*TINY)
    assert found["student"]["input_size"] == 160
    assert {a["teacher_signed"] for a in found["answers"]} == {None}
    assert "unknown" in kd_ok("match", *TINY).out


def test_ofd_is_refused_where_stages_end_otherwise():
    found = document("--teacher", "test_efficientnet", "--student", "test_resnet")
    uses = {use["method"]: use for use in found["methods"]}
    assert not uses["ofd"]["works"]
    assert "ReLU" in uses["ofd"]["reason"]


def test_pairs_and_adapters_of_the_recipe():
    found = document(*TINY, "--set", "match.pairs=[[1, 1]]", "--set", "match.adapter=none")
    assert [(a["student"]["index"], a["teacher"]["index"]) for a in found["answers"]] == [(1, 1)]
    uses = {use["method"]: use for use in found["methods"]}
    assert "match.adapter is none" in uses["fitnet"]["reason"]
    assert uses["at"]["works"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--teacher", "test_resnet"), "compares two models"),
        ((*TINY, "--set", "match.pairs=[[1, 9]]"), "has no stage 9"),
        ((*TINY, "--set", "match.pairs=[[1]]"), "match.pairs"),
        (("--teacher", "resnt18", "--student", "test_resnet"), "did you mean"),
    ],
)
def test_mistakes_in_words(arguments, words):
    answer = kd("match", *arguments)
    assert answer.code == 2
    assert words in answer.err


def test_a_teacher_that_is_a_run(distilled_once):
    teacher = distilled_once.run("teacher-")
    found = document("--teacher", str(teacher), "--student", "test_vit", "--data", "digits")
    assert found["teacher"]["model"] == "test_resnet"
    assert found["student"]["columnar"]
