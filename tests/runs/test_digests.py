"""What a run is found by: one digest and one folder name for each kind of training, as literals.

Each was written down by the first kd that could make such a run. A digest that changes here means
that everybody's finished runs of that kind are trained again.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, get_args

import pytest
from house import ON_DIGITS, House, kd, kd_ok
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from kdcli.commands import recipe
from kdcli.commands.recipe import Setting
from kdcli.core import registry
from kdcli.core.options import LATER, NO_WEIGHT, Later, Mark
from kdcli.core.progress import Silent
from kdcli.methods.kd import KD
from kdcli.plan.ask import Ask
from kdcli.recipe.data import Data
from kdcli.recipe.edit import dump, put, update
from kdcli.recipe.load import load_recipe
from kdcli.recipe.schema import Evaluate, Recipe, Task
from kdcli.recipe.teacher import Checkpoints, TeacherSettings
from kdcli.runs.baseline import baseline_of
from kdcli.runs.differences import differences
from kdcli.runs.spec import DataRef, FileRef, Spec, TeacherRef, with_seed

DATA = DataRef(name="fashion", location="/data/fashion", identity={"kind": "folder", "files": "0a"})
RESOLVED = {
    "data.image_size": 32,
    "data.augment": "shift",
    "train.epochs": 20,
    "train.batch_size": 32,
    "train.lr": 3e-3,
    "train.patience": None,
    "train.trunk_lr": 1.0,
    "student.pretrained": False,
    "student.precision": "fp32",
    "teacher.pretrained": False,
    "teacher.precision": "fp32",
}
USE = {"use": "kd", "weight": 0.9, "temperature": 4.0, "standardize": False}


def spec_of(
    role: str = "student",
    model: str = "mobilenetv3_small_100",
    recipe: str = "kd",
    settings: dict[str, Any] | None = None,
    **given: Any,
) -> Spec:
    resolved = update(Recipe(), RESOLVED | {"methods.kd": USE} | (settings or {}))
    made = {"role": role, "model": model, "data": DATA, "recipe_name": recipe, "recipe": resolved}
    return Spec.model_validate(made | given)


def taught_by(*above: Spec, **how: Any) -> dict[str, Any]:
    return {"teachers": tuple(TeacherRef(model=one.model, spec=one, **how) for one in above)}


def alone(role: str = "teacher", model: str = "resnet18", **given: Any) -> Spec:
    return spec_of(role, model, "supervised", {"scheme.name": "alone"}, **given)


TEACHER = alone()
ASSISTANT = spec_of("assistant", "resnet10t", **taught_by(TEACHER))
ROOT = alone(model="resnet10t")
CHILD = spec_of("generation", "resnet10t", "born_again", **taught_by(ROOT))
WEIGHTS = FileRef(path="/w/resnet18.pth", sha256="ab", options={"drop_rate": 0.1}, mean=(0.5,) * 3)
FURTHER = DataRef(name="more", location="/data/more", identity={"kind": "unlabelled", "files": "1"})


def kinds() -> dict[str, Spec]:
    """Every kind of training that there is."""
    return {
        "teacher": TEACHER,
        "teacher of a seed": alone(seed=3),
        "baseline": alone("baseline", "mobilenetv3_small_100"),
        "student": spec_of(**taught_by(TEACHER)),
        "student of a file": spec_of(
            teachers=(TeacherRef(model="resnet18", path="/m/model.pt", sha256="cd"),)
        ),
        "two teachers": spec_of(recipe="average", **taught_by(TEACHER, ROOT)),
        "five teachers": spec_of(
            recipe="average",
            **taught_by(*(alone(model=f"vit{i}") for i in range(5))),
        ),
        "ensemble": spec_of(recipe="average", **taught_by(TEACHER, seeds=3)),
        "assistant": ASSISTANT,
        "student of an assistant": spec_of(**taught_by(ASSISTANT)),
        "second assistant": spec_of("assistant", "resnet14t", **taught_by(ASSISTANT)),
        "generation": CHILD,
        "second generation": spec_of("generation", "resnet10t", "born_again", **taught_by(CHILD)),
        "last generation": spec_of(model="resnet10t", recipe="born_again", **taught_by(CHILD)),
        "its second seed": with_seed(
            spec_of(model="resnet10t", recipe="born_again", **taught_by(CHILD)), 1
        ),
        "peers": spec_of(
            recipe="mutual",
            settings={"scheme.name": "mutual"},
            peers=("resnet18", "mobilenetv3_small_100"),
        ),
        "exits": spec_of(recipe="exits", settings={"scheme": {"name": "exits", "labels": 0.7}}),
        "given weights": alone(weights=WEIGHTS),
        "unlabelled images": spec_of(
            recipe="compress",
            settings={"scheme.name": "compress", "data.unlabelled": "/data/more"},
            unlabelled=FURTHER,
            **taught_by(TEACHER),
        ),
        "a trajectory": alone(keeps=Checkpoints(count=8, spacing="early")),
        "who follows it": spec_of(
            recipe="trajectory",
            settings={"teacher.follow": "trajectory", "teacher.checkpoints.clock": "steps"},
            **taught_by(alone(keeps=Checkpoints(count=8))),
        ),
        "together": spec_of(
            recipe="together", settings={"teacher.follow": "together"}, **taught_by(TEACHER)
        ),
    }


FOLDERS = {
    "teacher": "teacher-resnet18-fashion-s0-e7355386",
    "teacher of a seed": "teacher-resnet18-fashion-s3-4fc9e144",
    "baseline": "baseline-mobilenetv3_small_100-fashion-s0-bec974b9",
    "student": "kd-resnet18-mobilenetv3_small_100-fashion-s0-b870d369",
    "student of a file": "kd-resnet18-mobilenetv3_small_100-fashion-s0-b565c6ba",
    "two teachers": "average-resnet18-resnet10t-mobilenetv3_small_100-fashion-s0-56835fc7",
    "five teachers": "average-vit0-vit1-vit2-and_2_more-mobilenetv3_small_100-fashion-s0-8f5fbe6c",
    "ensemble": "average-resnet18x3-mobilenetv3_small_100-fashion-s0-33f0f0f4",
    "assistant": "kd-resnet18-resnet10t-fashion-s0-6c22bb6b",
    "student of an assistant": "kd-resnet10t-mobilenetv3_small_100-fashion-s0-354b762d",
    "second assistant": "kd-resnet10t-resnet14t-fashion-s0-d4b9c351",
    "generation": "generation_1-resnet10t-fashion-s0-422fafcb",
    "second generation": "generation_2-resnet10t-fashion-s0-e0519825",
    "last generation": "born_again-resnet10t-resnet10t-fashion-s0-46d3922b",
    "its second seed": "born_again-resnet10t-resnet10t-fashion-s1-01c67370",
    "peers": "mutual-mobilenetv3_small_100_with_resnet18-fashion-s0-92cb153c",
    "exits": "exits-mobilenetv3_small_100-fashion-s0-37779c69",
    "given weights": "teacher-resnet18-fashion-s0-33e771f2",
    "unlabelled images": "compress-resnet18-mobilenetv3_small_100-fashion-s0-2bfd12c6",
    "a trajectory": "teacher-resnet18-fashion-s0-15c2bc87",
    "who follows it": "trajectory-resnet18-mobilenetv3_small_100-fashion-s0-66ab8f6b",
    "together": "together-resnet18-mobilenetv3_small_100-fashion-s0-3869870e",
}


@pytest.mark.parametrize("kind", sorted(kinds()))
def test_folders_are_those_of_earlier_kds(kind: str) -> None:
    spec = kinds()[kind]
    assert spec.folder_name == FOLDERS[kind], "a new key? give it a mark (kdcli/core/options.py)"
    assert spec.folder_name.endswith(spec.digest)


@pytest.mark.parametrize("kind", sorted(kinds()))
def test_what_has_another_digest_says_in_what_it_differs(kind: str) -> None:
    one = kinds()[kind]
    for other in kinds().values():
        assert bool(differences(one, other)) == (one.digest != other.digest)


# What comes later ---------------------------------------------------------------------------------


def test_how_a_teacher_is_asked_decides_weights_only_where_less_is_heard() -> None:
    """Fewer views than epochs, or less than all logits; whether they were stored, never."""

    def asked(**settings: Any) -> Spec:
        given = {f"teacher.{key}": value for key, value in settings.items()}
        return spec_of(settings=given, **taught_by(TEACHER))

    plain, fewer = asked(), asked(views=4)
    for same in ({"answers": "stored"}, {"views": 20}, {"views": 99}, {"answers": "live"}):
        assert asked(**same).digest == plain.digest
    others = {fewer.digest, asked(views=5).digest, asked(keep=8).digest, asked(keep="half").digest}
    assert len(others | {plain.digest}) == 5
    assert (plain.views, fewer.views, asked(views=20).views) == (0, 4, 0)
    unvaried = fewer.model_copy(update={"recipe": update(fewer.recipe, {"data.augment": None})})
    assert unvaried.views == 0, "there is but one view"
    assert baseline_of(fewer).views == 0
    assert baseline_of(fewer).digest == baseline_of(plain).digest


class Colour(Data):
    """`data:` of a later kd."""

    hue: Annotated[float, LATER] = 0.0
    """Turns of the colour circle."""
    thumbnails: Annotated[bool, NO_WEIGHT] = False
    """Keep some to look at."""


class LaterRecipe(Recipe):
    """The format of a later kd, with a key and a section more."""

    data: Colour = Colour()
    tracking: Annotated[Task | None, LATER] = None


def later(**values: Any) -> Spec:
    """TEACHER as a later kd would make it."""
    raw = dump(TEACHER.recipe)
    for key, value in values.items():
        put(raw, key.replace("__", "."), value)
    return TEACHER.model_copy(update={"recipe": LaterRecipe.model_validate(raw)})


def test_a_later_key_changes_no_digest_unless_it_says_something() -> None:
    assert later().digest == later(data__thumbnails=True).digest == TEACHER.digest
    found = {later(data__hue=0.5).digest, later(tracking={"weight": 1.0}).digest, TEACHER.digest}
    assert len(found) == 3


def test_a_methods_later_option_is_left_out_while_it_is_as_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Softer(KD):
        """Some paper."""

        floor: Annotated[float, LATER] = 0.0
        """Of a probability."""

    before = load_recipe("kd").recipe.methods["kd"]
    real = registry.load
    monkeypatch.setattr(
        registry, "load", lambda kind, name: Softer if name == "kd" else real(kind, name)
    )
    assert load_recipe("kd").recipe.methods["kd"] == before
    use = load_recipe("kd", ("methods.kd.floor=0.1",)).recipe.methods["kd"]
    assert use.options == before.options | {"floor": 0.1}
    shown = {one.key: one.value for one in show("kd")}
    assert shown["methods.kd.floor"] == 0.0, "kd recipe show tells of every option"


def show(name: str) -> list[Setting]:
    ask = Ask(recipe=name, student="test_resnet", teachers=("test_vit",))
    return recipe.show(ask, Silent()).settings


FIRST = set((Path(__file__).parent / "first_keys.txt").read_text("utf-8").split())
"""Every key that there was when marks began: in the digest whatever its value. No key is added."""


def test_a_key_that_came_later_is_marked() -> None:
    """Of the recipe, and the options of the methods and schemes that there were."""
    came = {key for key, field in _keys() if not _marks(field)} - FIRST
    known = {key.rpartition(".")[0] for key in FIRST}
    came = {key for key in came if key.rpartition(".")[0] in known}
    assert not came, (
        f"{sorted(came)}: without a mark every run that was made before is trained again; "
        "declare it as Annotated[..., LATER] or Annotated[..., NO_WEIGHT] (kdcli/core/options.py)"
    )


def test_a_marked_key_keeps_its_default() -> None:
    """ "As before" for every run that does not mention it."""
    marked = {key: field.default for key, field in _keys() if _marks(field)}
    assert marked == {
        "data.crop_pct": "auto",
        "data.labelled_share": None,
        "data.licence": "auto",
        "evaluate": Evaluate(),
        "teacher": TeacherSettings(),
        "train.compile": "auto",
        "train.epoch_images": "auto",
        "train.save_minutes": 5.0,
        "train.sync_batchnorm": False,
        "who": None,
    }, "write a new marked key down here with its default; the default of a known one never changes"
    resolved = [key for key, field in _keys() if LATER in _marks(field) and field.default == "auto"]
    assert not resolved, "`auto` is resolved before the digest, so it cannot mean as before"


def test_what_auto_was_before_is_in_no_digest() -> None:
    def shown(crop_pct: object) -> str:
        recipe = update(TEACHER.recipe, {"data.crop_pct": crop_pct})
        return TEACHER.model_copy(update={"recipe": recipe}).digest

    assert shown("auto") == shown(1.0) == TEACHER.digest != shown(0.875)


def _marks(field: FieldInfo) -> set[Mark | Later]:
    return {one for one in field.metadata if isinstance(one, Mark | Later)}


def _keys() -> Iterator[tuple[str, FieldInfo]]:
    yield from _fields(Recipe)
    for kind in ("methods", "schemes"):
        for name in registry.names(kind):
            yield from _fields(registry.load(kind, name), f"{kind}.{name}.")


def _fields(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Dotted keys, those of records inside too, whatever they are wrapped in."""
    for name, field in model.model_fields.items():
        key = f"{path}{field.alias or name}"
        inner = [] if _marks(field) else [*_records(field.annotation)]
        for one in inner:
            yield from _fields(one, f"{key}.")
        if not inner:
            yield key, field


def _records(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for one in get_args(annotation):
        yield from _records(one)


# By other rules -----------------------------------------------------------------------------------


def test_data_read_by_new_rules_are_other_data(monkeypatch: pytest.MonkeyPatch) -> None:
    newer = TEACHER.model_copy(update={"data": DATA.model_copy(update={"rules": 2})})
    assert newer.digest != TEACHER.digest
    further = FURTHER.model_copy(update={"rules": 2})
    assert kinds()["unlabelled images"].model_copy(update={"unlabelled": further}).digest != (
        kinds()["unlabelled images"].digest
    )


def test_a_run_of_older_rules_is_looked_at_but_not_measured(
    finished: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kdcli.runs.spec.RULES", 4)
    monkeypatch.setattr("kdcli.plan.data.RULES", 4)
    listed = kd_ok("list", "runs", "--json").document["runs"]
    assert len(listed) == len(finished.runs())
    looked = kd_ok("inspect", finished.student)
    assert "made by an older kd" in looked.err
    refused = kd("evaluate", finished.student)
    assert refused.code == 3
    assert "made by an older kd" in refused.err
    assert "repeat the command that made the run" in refused.err
    exported = kd_ok("export", finished.student)
    assert "made by an older kd" in exported.err
    assert "32 made-up images" in exported.err
    plan = kd_ok(*ON_DIGITS, "--dry-run").err
    assert "finished" not in plan, "a new run is made of it"
