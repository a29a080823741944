"""Whether models look at the same places: the numbers, and the report that holds them."""

import pytest
import torch
from house import kd_ok

from kdcli.core.progress import Silent
from kdcli.data.reopen import reopen_data
from kdcli.data.store import open_store
from kdcli.evaluation.attention_maps import agreement, with_maps
from kdcli.evaluation.measure import measure
from kdcli.report.markdown import markdown
from kdcli.report.schema import Report
from kdcli.runs.baseline import baseline_of
from kdcli.runs.run import Run
from kdcli.training.ensure import ensure
from kdcli.training.site import Site

CPU = torch.device("cpu")
TRAIN = ("distill", "--student", "test_resnet", "--recipe", "attention_self")


def image():
    """Smooth, and no two places alike."""
    line = torch.linspace(0, 1, 32)
    return (line[:, None].square() + 2 * line[None] + 0.5).expand(3, 32, 32)


def test_a_model_that_looks_at_the_same_whatever_the_view_scores_1():
    found = agreement(lambda view: [view.turn(image()), view.turn(image())])
    for key in ("flip", "scale", "layers"):
        torch.testing.assert_close(found[key], torch.ones(3), atol=1e-3, rtol=0)
    assert (found["entropy"] < 1).all()


def test_a_model_that_takes_no_notice_of_the_view_does_not():
    found = agreement(lambda view: [image(), image().flip(2)])
    assert found["flip"].max() < -0.5
    assert found["scale"].max() < 0.99
    assert found["layers"].max() < 0


def test_flat_maps_agree_with_nothing_and_are_told_by_their_entropy():
    found = agreement(lambda view: [torch.full((2, 4, 4), 0.3)])
    assert {key: value.tolist() for key, value in found.items()} == {
        "flip": [0, 0],
        "scale": [0, 0],
        "entropy": [pytest.approx(1), pytest.approx(1)],
    }


def test_a_model_without_maps_says_nothing():
    assert agreement(lambda view: []) == {}


def test_the_report_of_a_network_that_taught_itself(empty_house, pictures):
    kd_ok(*TRAIN, "--data", pictures, "--set", "train.epochs=1")
    run = Run(empty_house.run("attention_self-"))
    kd_ok("evaluate", run.path, "--min", "student.maps.flip=-1")
    report = Report.model_validate_json((run.path / "report.json").read_text("utf-8"))
    maps = report.models["student"].maps
    assert all(-1 <= value <= 1 for value in maps.model_dump().values())
    shown = " / ".join(f"{value:.3f}" for value in (maps.flip, maps.scale, maps.layers))
    assert f"| maps agree: flip / scale / layers | {shown} |" in markdown(report)
    assert f"| map entropy (1 = flat) | {maps.entropy:.3f} |" in markdown(report)

    source = reopen_data(run.spec.data, Silent())
    ensure(baseline_of(run.spec), Site(source, CPU, Silent()))
    store = open_store(source.test, int(run.spec.recipe.data.image_size), Silent())
    measured = dict.fromkeys(("teacher", "student", "baseline"), measure([run.model], store, CPU))
    found = with_maps(measured, [run], store, CPU, Silent())
    assert found["teacher"].part.maps is None
    assert found["student"].part.maps == maps
    assert found["baseline"].part.maps not in (None, maps)
