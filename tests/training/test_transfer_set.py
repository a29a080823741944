"""A transfer set: what is in it, who answers it, and that nobody is asked twice."""

import shutil
import weakref
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from house import STUDENT, TEACHER, same_weights
from words import Words

from kdcli.core.errors import UnfitTeacher, UnmetNeeds, UsageError
from kdcli.core.functional import as_one
from kdcli.core.progress import Silent
from kdcli.core.records import Panel
from kdcli.evaluation.answers import ask
from kdcli.models.build import build, plan, seeded
from kdcli.models.checkpoint import ModelFile, save_model
from kdcli.plan import rehearsal
from kdcli.plan.data import open_data, with_unlabelled
from kdcli.plan.job import Shared
from kdcli.plan.lineage import Roles, distill_spec
from kdcli.plan.names import Start
from kdcli.plan.rehearsal import estimate
from kdcli.recipe.conflicts import refuse_contradictions
from kdcli.recipe.load import load_recipe
from kdcli.runs.find import answers_root
from kdcli.runs.inventory import inventory
from kdcli.training import ask_teachers, share, teachers
from kdcli.training.answers.decide import decide
from kdcli.training.ask_teachers import members_of, one_of_each
from kdcli.training.build import assemble
from kdcli.training.ensure import ensure
from kdcli.training.site import Site

CPU = torch.device("cpu")
MEMBERS = 3
QUICK = ("train.epochs=3", "train.batch_size=32", "data.pool={times: 1}")


@pytest.fixture(scope="module")
def source(pictures):
    return open_data(str(pictures), Silent(), surveyed=False)


@pytest.fixture(scope="module")
def files(source, tmp_path_factory):
    """Members that have learnt nothing, no two alike."""
    folder = tmp_path_factory.mktemp("members")
    args = plan(TEACHER, 3, 32, None)
    for i in range(MEMBERS):
        with seeded(i, "member"):
            module = build(args)
        file = ModelFile(args.as_dict(), module.state_dict(), source[0].classes, recipe={})
        save_model(file, folder / f"{i}.pt")
    return sorted(folder.glob("*.pt"))


def spec_of(source, files, *settings, recipe="compress", weak=True):
    loaded = load_recipe(recipe, (*QUICK, f"teacher.allow_weak={str(weak).lower()}", *settings))
    data, ref = source
    data, further = with_unlabelled(loaded.recipe, data, Silent())
    teachers = tuple(str(file) for file in files) or (TEACHER,)
    shared = Shared(loaded, data, ref, CPU, unlabelled=further)
    return distill_spec(Roles(teachers, Start(STUDENT)), shared)


def assembled(source, files, *settings, progress=None, **options):
    spec = spec_of(source, files, *settings, **options)
    data, _ = with_unlabelled(spec.recipe, source[0], Silent())
    return assemble(spec, Site(data, CPU, progress or Silent()), files)


def test_it_holds_all_images_and_an_epoch_those_with_labels(source, files, pictures, tmp_path):
    shutil.copytree(pictures / "two", tmp_path / "further")
    words = Words()
    settings = f"data.unlabelled={tmp_path / 'further'}", "data.hidden=0.5"
    made = assembled(source, files, *settings, progress=words)
    train = len(source[0].train)
    assert len(made.transfer.store) == 2 * (train + 40)
    assert made.transfer.samples_per_epoch == train - round(train / 2)
    assert made.steps_per_epoch == made.transfer.samples_per_epoch // 32
    assert len(list(made.batches(2))) == made.steps_per_epoch
    said = [line for line in words.words if line.startswith("transfer set")]
    views = 3 * (train - round(train / 2)) / (2 * (train + 40))
    assert said == [
        f"transfer set: {2 * (train + 40)} images ({train - round(train / 2)} with labels, "
        f"{round(train / 2) + 40} without, {train + 40} synthetic), labelled by 3 teachers, each "
        f"shown {views:.3g} times; more: --set train.epochs=..."
    ]


def test_labels_and_targets_are_the_ensembles(source, files):
    made = assembled(source, files, "scheme.weights=[1, 2, 1]")
    panel = Panel((0.25, 0.5, 0.25))
    alone = [ask(file, made.transfer.store, CPU).logits for file in files]
    expected = as_one(torch.from_numpy(np.stack(alone, 1)), panel)
    logits = made.transfer.answers
    torch.testing.assert_close(logits, expected)
    batch = next(made.batches(1))
    assert torch.equal(batch.labels, logits[batch.index].argmax(1))
    assert torch.equal(batch.targets.argmax(1), batch.labels)
    made.distiller(batch).total.backward()


def test_one_member_is_there_at_a_time(source, files, monkeypatch):
    alive, most, opened = weakref.WeakSet(), [], ask_teachers.open_teacher

    def watched(path, device):
        most.append(len(alive))
        found = opened(path, device)
        alive.add(found)
        return found

    monkeypatch.setattr(ask_teachers, "open_teacher", watched)
    assembled(source, files)
    assert most == [0] * 3, "measured and asked in one go"


def test_members_that_label_are_measured_and_told_of(source, files, monkeypatch):
    """Trained here, so that they are not refused; once each, whatever is then asked."""
    measured, words = [], Words()
    once = teachers.standing
    monkeypatch.setattr(teachers, "standing", lambda *given: (measured.append(1), once(*given))[1])
    spec = spec_of(source, [], "teacher.seeds=3", weak=False)
    assemble(spec, Site(source[0], CPU, words), files)
    weak = [line for line in words.words if "hardly better than chance" in line]
    assert [file for file, line in zip(files, weak, strict=True) if str(file) in line] == files
    assert len(measured) == 3


def test_who_goes_on_asks_nobody_again(source, files, tmp_path, monkeypatch, empty_house):
    spec = spec_of(source, files, "data.pool={by: munge_patch, times: 1, grid: 2}")

    def run(name):
        return ensure(spec, Site(source[0], CPU, Silent()), out=tmp_path / name).run

    straight = run("straight")
    with monkeypatch.context() as patch:
        patch.setattr(share, "fit", _broken_off(share.fit))
        with pytest.raises(KeyboardInterrupt):
            run("broken")
    stores = [one for one in inventory() if one.is_store]
    assert len(stores) == 2, "what they answered, and who is near whom"
    monkeypatch.setattr(ask_teachers, "answers_of", _nobody)
    monkeypatch.setattr(ask_teachers, "open_teacher", _nobody)
    resumed = run("broken")
    assert {answers_root() / name for name in resumed.answers} == {one.path for one in stores}
    assert [line["epoch"] for line in resumed.lines() if "epoch" in line] == [1, 2, 3]
    assert same_weights(straight.model, resumed.model)
    assert set(resumed.needs()) == {f"teacher.{i}" for i in range(MEMBERS)}


def _broken_off(fit):
    def broken(*args, validate, **options):
        calls = []

        def once(model):
            calls.append(1)
            if len(calls) > 1:
                raise KeyboardInterrupt
            return validate(model)

        return fit(*args, validate=once, **options)

    return broken


def _nobody(*args):
    raise AssertionError("asked again")


def test_answers_that_do_not_fit_are_made_again(source, files, empty_house):
    """A torn file; those of other members have another place."""
    spec, words = spec_of(source, files), Words()
    site = Site(source[0], CPU, words)
    first = assemble(spec, site, files, way=decide(spec, site, files))
    (place,) = (empty_house.path / "answers").glob("*/*.safetensors")
    place.write_bytes(place.read_bytes()[:-200])
    again = assemble(spec, site, files, way=decide(spec, site, files))
    assert any("asked about again" in line for line in words.words)
    assert torch.equal(again.transfer.answers, first.transfer.answers)
    found = decide(spec, site, files)
    assert (found.missing, found.why) == (0, f"labels of {2 * 84} images are looked up")
    assert decide(spec_of(source, files[:2]), site, files[:2]).missing == 1


def test_a_given_teacher_is_measured_before_anybody_is_asked(source, files, monkeypatch):
    monkeypatch.setattr(ask_teachers, "answers_of", _nobody)
    with pytest.raises(UnfitTeacher, match="hardly better than chance"):
        assembled(source, files, weak=False)


@pytest.mark.slow
def test_a_forecast_asks_one_of_a_thousand(source, monkeypatch):
    built, stand_in = [], ask_teachers.stand_in
    monkeypatch.setattr(
        ask_teachers, "stand_in", lambda *given: (built.append(1), stand_in(*given))[1]
    )
    spec = spec_of(source, [])
    few = estimate(spec, source[0], CPU)
    many = spec.model_copy(update={"teachers": spec.teachers * 1000})
    assert [ref.model for ref in many.members[:1]] == [TEACHER]
    long = estimate(many, source[0], CPU)
    assert len(built) == 2
    assert long.asking_seconds > few.asking_seconds
    assert long.answers_bytes == 2 * len(source[0].train) * 3 * 4


def test_answers_are_there_four_times_while_they_are_asked(source, monkeypatch):
    monkeypatch.setattr(rehearsal, "watched_memory", lambda: nullcontext(lambda: 0))
    monkeypatch.setattr(rehearsal, "_held", lambda *_: 0)
    found = estimate(spec_of(source, []), source[0], CPU)
    assert found.memory_bytes == 4 * found.answers_bytes > 0


def test_models_of_another_scheme_are_another_architecture(source):
    """Three copies take longer than one, whatever they are called."""
    one = spec_of(source, [], "teacher.seeds=2").teachers[0]
    copies = spec_of(source, [], "teacher.recipe=joint_ensemble", "teacher.seeds=4").teachers[0]
    refs = (*one.members, *copies.members)
    members = members_of([None] * 6, refs, Panel((1 / 6,) * 6))
    found = one_of_each(members, 3)
    assert [each.count for each in found] == [2, 4]
    assert [ask_teachers.stand_in_args(each.ref, 3).copies for each in found] == [1, 3]


@pytest.mark.parametrize(
    ("settings", "warned"),
    [
        ((), 0),
        (("methods.kd.temperature=4",), 1),
        (("methods.kd.temperature=4", "methods.dkd={}"), 2),
        (("methods.tfkd={}",), 0),
        (("methods.kd.temperature=4", "scheme.aggregate=logits"), 0),
    ],
)
def test_a_mean_that_is_softened_afterwards_is_told(settings, warned, source, files):
    words = Words()
    assembled(source, files, *settings, progress=words)
    told = [line for line in words.words if "not the mean of their softened ones" in line]
    assert len(told) == warned
    assert all("--set scheme.aggregate=logits" in line for line in told)


def test_methods_that_read_features_are_refused_in_words(source, files):
    with pytest.raises(UnmetNeeds, match=r"at needs .*scheme compress does not give that"):
        assembled(source, files, "methods.at={}")
    assembled(source, files, "methods.dkd={}", "task.weight=0.5")


@pytest.mark.parametrize(
    ("recipe", "setting", "words"),
    [
        ("kd", "data.pool={}", "nobody label them"),
        ("compress", "train.mixup=0.2", r"data\.pool="),
        ("compress", "train.cutmix=1.0", r"data\.pool="),
    ],
)
def test_what_contradicts_a_transfer_set_is_refused(recipe, setting, words, source):
    settings = (setting,) if recipe == "kd" else (setting, "data.pool=null")
    loaded = load_recipe(recipe, settings)
    spec = distill_spec(Roles((TEACHER,), Start(STUDENT)), Shared(loaded, *source, CPU))
    with pytest.raises(UsageError, match=words):
        refuse_contradictions(spec.recipe, spec.model, bool(spec.teachers))
