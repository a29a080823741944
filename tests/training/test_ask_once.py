"""A teacher that is asked once: what is looked up is what it would say."""

import shutil
import threading

import pytest
import torch
from house import same_weights, then_stop
from stored_answers import CPU, decided, spec_of, untrained
from words import Words

from kdcli.core.errors import DataError, InUse, UnfitTeacher, UnmetNeeds
from kdcli.core.lock import lock
from kdcli.core.progress import Silent
from kdcli.core.records import Outputs
from kdcli.data.loader import training_batches
from kdcli.data.readers import ImageFiles
from kdcli.data.store import open_store
from kdcli.data.subset import training_split
from kdcli.evaluation.kept_answers import covered, packed, unpacked
from kdcli.models.route import View
from kdcli.models.teachers import Frozen
from kdcli.plan.data import open_data
from kdcli.recipe.edit import stored_size
from kdcli.runs.layout import shard_name
from kdcli.training import loop, teachers
from kdcli.training.answers import ask_once, stored_teachers
from kdcli.training.answers import store as answer_store
from kdcli.training.answers.decide import decide
from kdcli.training.answers.store import AnswerStore
from kdcli.training.answers.stored_teachers import open_stored
from kdcli.training.batching import batching_of
from kdcli.training.ensure import ensure
from kdcli.training.site import Site
from kdcli.training.teachers import open_teachers

ROWS = 32
"""Of a shard, here: of the pictures there are three."""
STORED = ("teacher.answers=stored",)
VARIED = ("data.augment=crop", "train.mixup=0.5", "train.cutmix=0.5")


@pytest.fixture(scope="module")
def source(pictures):
    return open_data(str(pictures), Silent(), surveyed=False)


@pytest.fixture(scope="module")
def files(source, tmp_path_factory):
    return untrained(source, tmp_path_factory.mktemp("teachers"))


@pytest.fixture(autouse=True)
def _small_shards(empty_house, monkeypatch):
    monkeypatch.setattr(answer_store, "ROWS", ROWS)
    monkeypatch.setattr(ask_once, "ROWS", ROWS)
    monkeypatch.setattr(stored_teachers, "MOST_BATCH", ROWS)


def looked_up(source, files, *settings, progress=None, **options):
    """The teachers of a student as stores, its batches, and where they come from."""
    spec = spec_of(source, files, *STORED, *settings, **options)
    site = Site(source[0], CPU, progress or Silent())
    images = [
        open_store(split, stored_size(spec.recipe), Silent())
        for split in (training_split(spec, source[0]), source[0].validation)
    ]
    how = batching_of(spec, 3, images[0].labels)
    once = open_stored(spec, site, files, decide(spec, site, files), images, how)
    return (
        once,
        training_batches(images[0], how, 0),
        dict(open_teachers(spec, site, files, images[1])),
    )


@pytest.fixture
def asked(monkeypatch):
    """Of how many images teachers were asked, batch by batch; of those asked twice in one, once."""
    found, real = [], Frozen.__call__

    def call(self, batch):
        found.append(len(set(zip(batch.view.tolist(), batch.index.tolist(), strict=True))))
        return real(self, batch)

    monkeypatch.setattr(Frozen, "__call__", call)
    return found


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        (VARIED, 3),
        # 48 images with labels and 36 without, half of each batch: an epoch is 72
        (("data.hidden={keep: 16}", "data.labelled_share=0.5"), 3),
        pytest.param(
            (*VARIED, "train.balance=sampler", "teacher.views=2"), 2, marks=pytest.mark.slow
        ),
    ],
)
def test_what_is_looked_up_is_what_is_said_live(source, files, settings, count):
    """To views of every kind, by two teachers; batches are smaller when they are asked live."""
    once, batches, live = looked_up(source, files, *settings, recipe="average")
    views = set()
    for batch in once.answered(batches):
        for by, teacher in live.items():
            known = once.teachers[by](batch)
            assert known.by == by
            torch.testing.assert_close(known.logits, teacher(batch).logits, atol=1e-5, rtol=0)
        views |= set(batch.view.tolist())
    assert views == set(range(count))


def test_of_changed_files_nothing_is_kept(source, files, monkeypatch):
    """Their sums are those of before."""
    once, batches, _ = looked_up(source, files[:1])
    changed = source[0].train.ids[40]
    monkeypatch.setattr(
        ImageFiles, "unchanged", lambda read, i: read.names[i] != changed, raising=True
    )
    with pytest.raises(DataError, match=f"{changed}: changed while kd was at work"):
        next(once.answered(batches))
    store = once.teachers["teacher.0"].store
    assert [(store.folder / shard_name(0, shard)).is_file() for shard in (0, 1)] == [True, False]


def test_embeddings_are_kept_where_a_person_wants_them_stored(source, files):
    once, batches, live = looked_up(source, files[:1], recipe="rkd")
    batch = next(once.answered(batches))
    live["teacher.0"].tap.show(View(embedding=True), batch.images[:2])
    torch.testing.assert_close(
        once.teachers["teacher.0"](batch).embedding, live["teacher.0"](batch).embedding
    )


def test_nobody_is_asked_twice(source, files, asked):
    """Neither for another seed, nor for another recipe."""
    train = len(source[0].train)
    for options in ({}, {"seed": 1}, {"recipe": "dkd"}):
        once, batches, _ = looked_up(source, files[:1], **options)
        assert len(list(once.answered(batches))) == 3 * (train // 32)
    assert sum(asked) == 3 * train


def test_a_teacher_is_measured_once_for_all_its_students(source, files, monkeypatch):
    """But where it might be refused."""
    looked_up(source, files[:1])
    measured, real = [], teachers.answers_of
    monkeypatch.setattr(
        teachers, "answers_of", lambda *given: (measured.append(1), real(*given))[1]
    )
    words = Words()
    spec = spec_of(source, files[:1], *STORED, seed=1)
    site = Site(source[0], CPU, words)
    images = [open_store(split, 32, Silent()) for split in (source[0].train, source[0].validation)]
    way, how = decide(spec, site, files[:1]), batching_of(spec, 3, source[0].train.labels)
    open_stored(spec, site, files[:1], way, images, how)
    assert not measured
    assert any("hardly better than chance" in line for line in words.words), "told all the same"
    strict = spec_of(source, files[:1], *STORED, "teacher.allow_weak=false")
    with pytest.raises(UnfitTeacher):
        open_stored(strict, site, files[:1], way, images, how)


def test_epochs_go_round_fewer_views(source, files, asked):
    once, batches, _ = looked_up(source, files[:1], "teacher.views=2")
    assert {view for b in once.answered(batches) for view in b.view.tolist()} == {0, 1}
    assert sum(asked) == 2 * len(source[0].train)
    asked.clear()
    once, batches, _ = looked_up(source, files[:1], "data.augment=null")
    assert len(list(once.answered(batches))) == 6
    assert sum(asked) == len(source[0].train), "all views are one"


def test_a_fill_that_was_killed_goes_on_with_the_next_shard(source, files, asked, monkeypatch):
    real, written = AnswerStore.write, []

    def write(self, view, shard, kept):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append((view, shard))
        real(self, view, shard, kept)

    once, batches, _ = looked_up(source, files[:1])
    with monkeypatch.context() as patch:
        patch.setattr(AnswerStore, "write", write)
        with pytest.raises(KeyboardInterrupt):
            next(once.answered(batches))
    assert written == [(0, 0), (0, 1)]
    asked.clear()
    once, batches, _ = looked_up(source, files[:1])
    next(once.answered(batches))
    assert sum(asked) == len(source[0].train) - 2 * ROWS


def test_a_flipped_bit_is_found_and_only_its_shard_made_again(source, files, asked):
    once, batches, _ = looked_up(source, files[:1])
    batch = next(once.answered(batches))
    before = once.teachers["teacher.0"](batch).logits
    path = once.teachers["teacher.0"].store.folder / shard_name(0, 1)
    spoilt = bytearray(path.read_bytes())
    spoilt[-5] ^= 4
    path.write_bytes(spoilt)
    asked.clear()
    words = Words()
    once, batches, _ = looked_up(source, files[:1], progress=words)
    batch = next(once.answered(batches))
    assert sum(asked) == ROWS
    assert [line for line in words.words if "damaged" in line] == [
        f"{path}: damaged; these images are asked about again"
    ]
    assert torch.equal(once.teachers["teacher.0"](batch).logits, before)


def test_answers_of_another_teacher_are_never_taken_for_its_own(source, files):
    """Not where a person copies them to its place, either."""
    one, batches, _ = looked_up(source, files[:1])
    next(one.answered(batches))
    other, batches, _ = looked_up(source, files[1:])
    mine, others = (once.teachers["teacher.0"].store for once in (one, other))
    assert mine.folder != others.folder
    shutil.copytree(mine.folder, others.folder, dirs_exist_ok=True)
    assert others.lacks(0, words := Words()) == [0, 1, 2]
    assert all("of another teacher" in line for line in words.words)
    assert decided(source, files[:1], *STORED, "data.augment=crop").stores[0].name != mine.name
    assert decided(source, files[:1], *STORED, "teacher.precision=bf16").stores[0].name != mine.name


def test_who_wants_to_ask_the_same_meanwhile_waits(source, files, asked, monkeypatch):
    once, batches, _ = looked_up(source, files[:1])
    store = once.teachers["teacher.0"].store
    with lock(store.folder), monkeypatch.context() as patch:
        patch.setattr(answer_store, "PATIENCE", 0.01)
        with pytest.raises(InUse):
            next(once.answered(batches))
    words, held, told = Words(), threading.Event(), threading.Event()

    def first() -> None:
        with store.asking(Silent()):
            held.set()
            told.wait(10)

    def say(text: str) -> None:
        words.words.append(text)
        if "waiting for it" in text:
            told.set()

    words.say = say
    once, batches, _ = looked_up(source, files[:1], progress=words)
    thread = threading.Thread(target=first)
    thread.start()
    held.wait()
    next(once.answered(batches))
    thread.join()
    assert told.is_set()


def test_however_they_were_asked_answers_are_the_same_to_the_bit(source, tmp_path, monkeypatch):
    """The last batch of a fill has four images, which are summed in another order than sixteen."""
    monkeypatch.setattr(stored_teachers, "MOST_BATCH", 16)
    files = untrained(source, tmp_path, "mobilenetv3_small_100")
    once, batches, live = looked_up(source, files)
    for batch in once.answered(batches):
        for by, teacher in live.items():
            assert torch.equal(once.teachers[by](batch).logits, teacher(batch).logits)


def test_a_student_is_the_same_whether_its_teacher_was_asked_or_looked_up(
    source, files, tmp_path, monkeypatch
):
    """Its digest, and its weights to the bit; killed and resumed, too."""

    def trained(how: str, folder: str = ""):
        spec = spec_of(source, files[:1], f"teacher.answers={how}", "teacher.views=3")
        return ensure(spec, Site(source[0], CPU, Silent()), out=tmp_path / (folder or how)).run

    live, stored = trained("live"), trained("stored")
    assert live.digest == stored.digest
    assert (live.answers, len(stored.answers)) == ((), 1)
    assert same_weights(live.model, stored.model)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "keep", then_stop(loop.keep))
        with pytest.raises(KeyboardInterrupt):
            trained("stored", "killed")
    assert same_weights(trained("auto", "killed").model, stored.model), "it goes on as it began"


# What is kept -------------------------------------------------------------------------------------


def test_the_largest_logits_keep_their_probabilities_and_the_others_share_the_rest():
    logits = 3 * torch.randn(50, 40, generator=torch.Generator().manual_seed(0))
    kept = packed(Outputs("t", logits), 8)
    found = unpacked(kept, "t", 40).logits
    largest = logits.topk(8, 1).indices
    given, again = logits.softmax(1), found.softmax(1)
    torch.testing.assert_close(again.gather(1, largest), given.gather(1, largest))
    torch.testing.assert_close(found.logsumexp(1), logits.logsumexp(1))
    others = again.scatter(1, largest, 0)
    assert (others.amax(1) * 32 - others.sum(1)).abs().max() < 1e-6
    torch.testing.assert_close(covered(kept), given.gather(1, largest).sum(1))


def test_all_of_them_are_kept_to_the_bit_and_in_half_the_bytes_nearly():
    logits = torch.randn(5, 4)
    assert torch.equal(unpacked(packed(Outputs("t", logits), "all"), "t", 4).logits, logits)
    half = packed(Outputs("t", logits, embedding=logits), "half")
    assert {tensor.dtype for tensor in half.values()} == {torch.float16}
    torch.testing.assert_close(unpacked(half, "t", 4).logits, logits, atol=2e-3, rtol=1e-3)
    everything = packed(Outputs("t", logits), 9)
    assert torch.equal(unpacked(everything, "t", 4).logits, logits), "no more than there are"


def test_logits_that_leave_out_much_are_refused(source, files):
    once, batches, _ = looked_up(source, files[:1], "teacher.keep=1")
    with pytest.raises(UnmetNeeds, match=r"teacher\.keep=1: these logits .* have 0\.\d+ of"):
        next(once.answered(batches))
