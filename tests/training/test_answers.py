"""Who is asked at every step and who once: by counts, and said in words."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from stored_answers import CPU, decided, spec_of, untrained

from kdcli.core.errors import UnmetNeeds, UsageError
from kdcli.core.progress import Silent
from kdcli.plan import rehearsal
from kdcli.plan.data import open_data
from kdcli.plan.rehearsal import estimate
from kdcli.recipe.conflicts import refuse_in_recipe
from kdcli.recipe.load import load_recipe
from kdcli.training.answers import decide as answers
from kdcli.training.site import Site


@pytest.fixture(scope="module")
def source(pictures):
    return open_data(str(pictures), Silent(), surveyed=False)


@pytest.fixture(scope="module")
def files(source, tmp_path_factory):
    return untrained(source, tmp_path_factory.mktemp("teachers"))


@pytest.fixture(autouse=True)
def _house(empty_house, monkeypatch):
    """Of the tiny models the teacher is the smaller one."""
    monkeypatch.setattr(answers, "costs", lambda args: {"macs": 1})


def test_one_student_that_sees_each_view_once_gains_nothing(source, files):
    way = decided(source, files[:1])
    assert not way.stored
    assert way.why == "1 student, 3 views to be asked about: nothing would be asked twice"
    own = decided(source, files[:1], "data.subset=0.5", students=3)
    assert own.why == way.why, "each seed draws other images"


@pytest.mark.parametrize(
    ("settings", "students", "views"),
    [((), 2, 3), (("data.augment=null",), 1, 1), (("teacher.views=2",), 1, 2)],
)
def test_what_asks_less_and_changes_nothing_is_done_unasked(
    source, files, settings, students, views
):
    way = decided(source, files, *settings, recipe="average", students=students)
    assert (way.stored, way.views, way.missing, len(way.stores)) == (True, views, views, 2)
    spec = spec_of(source, files, *settings, recipe="average")
    to_come = answers.decide(spec, Site(source[0], CPU, Silent(), students=students), [None, None])
    assert (to_come.stored, to_come.names) == (True, ())


@pytest.mark.parametrize(
    ("settings", "together"),
    [("train.batch_size=12", 12), ("train.batch_size=50", 50), ("train.batch_size=128", 84)],
)
def test_what_rounding_makes_another_is_asked_for(source, files, settings, together):
    """Of fewer images than a batch wants, all are one."""
    way = decided(source, files, settings, students=9)
    assert way.why.startswith(f"batches of {together} are answered otherwise than larger ones")
    assert decided(source, files, settings, "teacher.answers=stored").stored
    parts = decided(source, files, "train.batch_size=32", "train.accumulate=4", students=9)
    assert parts.why.startswith("batches of 8 ")


def test_a_sampler_shows_more_views_than_there_are_epochs(source, files):
    sampled = ("train.balance=sampler", "teacher.answers=stored")
    assert "teacher.views says how many" in decided(source, files[:1], *sampled).why
    assert decided(source, files[:1], *sampled, "teacher.views=2").stored
    assert decided(source, files[:1], *sampled, "data.augment=null").stored


def test_answers_that_lie_there_are_used(source, files, monkeypatch):
    monkeypatch.setattr(answers.AnswerStore, "has", lambda store, view: view == 1)
    way = decided(source, files[:1])
    assert (way.stored, way.missing) == (True, 2)
    assert way.words == (
        "teachers' answers stored: 3 views of 84 images, of which 2 are still to be asked about "
        "(2.02 kB)"
    )


def test_unasked_they_take_a_tenth_of_the_free_disk_and_no_small_teacher(
    source, files, monkeypatch
):
    with monkeypatch.context() as patch:
        patch.setattr(answers.shutil, "disk_usage", lambda _: SimpleNamespace(free=9000))
        assert "more than a tenth of what is free" in decided(source, files, students=9).why
        assert decided(source, files[:1], "teacher.answers=stored").stored
    monkeypatch.setattr(answers, "costs", lambda args: {"macs": "efficient" in args.name})
    assert decided(source, files[:1], students=9).why == "they take less than their student"


@pytest.mark.parametrize(
    ("recipe", "settings", "why"),
    [
        ("at", (), "at reads their features"),
        ("srrl", (), "srrl reads their weights"),
        ("kd", ("teacher.answers=live",), "as teacher.answers says"),
    ],
)
def test_who_needs_more_than_answers_asks_at_every_step(source, files, recipe, settings, why):
    settings = ("teacher.answers=stored", *settings)
    assert decided(source, files[:1], *settings, recipe=recipe, students=5).why == why


def test_who_makes_views_of_its_own_or_follows_a_teacher_asks_at_every_step():
    own = load_recipe("kd", ("scheme=fusion",)).recipe
    assert answers.why_live(own) == "scheme fusion shows them more than the batch"
    assert answers.why_live(load_recipe("trajectory").recipe) == "they still learn"


def test_embeddings_are_stored_where_a_person_says_so(source, files):
    assert decided(source, files[:1], recipe="rkd", students=9).why == "rkd reads their embedding"
    assert decided(source, files[:1], "teacher.answers=stored", recipe="rkd").stored


def test_a_training_goes_on_as_it_was_begun(source, files):
    from stored_answers import CPU, spec_of

    from kdcli.training.site import Site

    spec = spec_of(source, files[:1], "data.augment=null")
    site = Site(source[0], CPU, Silent())
    assert not answers.decide(spec, site, files[:1], begun=False).stored
    assert answers.decide(spec, site, files[:1], begun=True).stored


def test_what_is_kept_of_an_answer_needs_stored_answers(source, files):
    with pytest.raises(UsageError, match=r"teacher\.keep=half is less than a teacher says"):
        refuse_in_recipe(load_recipe("kd", ("teacher.keep=half",)).recipe)
    for setting in ("teacher.answers=live", "teacher.keep=3"):
        once = load_recipe("compress", ("teacher.answers=stored", setting)).recipe
        with pytest.raises(UsageError, match="scheme compress asks its teachers once"):
            refuse_in_recipe(once)
    with pytest.raises(UnmetNeeds, match=r"teacher\.keep=half: at reads their features"):
        decided(source, files[:1], "teacher.answers=stored", "teacher.keep=half", recipe="at")


def test_the_plan_knows_what_asking_takes_once_for_all_seeds(source, files, monkeypatch):
    monkeypatch.setattr(rehearsal, "_seconds_per_byte", lambda *_: 0.0)
    spec = spec_of(source, files[:1], "teacher.answers=stored", "teacher.views=2")
    found = replace(estimate(spec, source[0], CPU), times=3)
    assert found.answers_bytes == 2 * 84 * 3 * 4
    assert found.asking_seconds > 0
    assert found.all_seconds == pytest.approx(3 * found.seconds + found.asking_seconds)
    assert found.all_bytes == 3 * found.model_bytes + found.answers_bytes
    assert "of asking" in found.words
    assert found.answers.startswith("teachers' answers stored: 2 views of 84 images")
