"""Family names mean models that timm builds."""

import subprocess
import sys

import pytest
import timm

from kdcli.models.families import EDGE, FAMILIES, TEACHERS


def test_every_family_names_a_model_of_timm():
    assert [model for model in FAMILIES.values() if not timm.is_model(model)] == []


def test_no_family_hides_a_model_of_timm():
    assert [name for name in FAMILIES if timm.is_model(name)] == []


def test_families_are_sorted_and_lead_to_their_own():
    assert list(FAMILIES) == sorted(FAMILIES)
    assert FAMILIES["mobilenetv3"] == "mobilenetv3_small_100"
    assert FAMILIES["resnet"] == "resnet18"


def test_edge_families_name_models_of_timm_once():
    models = [model for family in EDGE.values() for model in family]
    assert [model for model in models if not timm.is_model(model)] == []
    assert len(set(models)) == len(models)
    assert len(EDGE) >= 30
    assert list(EDGE) == sorted(EDGE)


def test_teachers_are_models_of_timm():
    assert [model for model in TEACHERS if not timm.is_model(model)] == []


@pytest.mark.parametrize("module", ["torch", "timm"])
def test_the_table_needs_neither_torch_nor_timm(module):
    code = f"import sys, kdcli.models.families; print({module!r} in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
