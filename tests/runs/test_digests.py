"""What a run is found by: one digest and one folder name for each kind of training, as literals.

Each was written down by the first kd that could make such a run. A digest that changes here means
that everybody's finished runs of that kind are trained again.
"""

from typing import Any

import pytest

from kdcli.recipe.edit import update
from kdcli.recipe.schema import Recipe
from kdcli.recipe.teacher import Checkpoints
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
KD = {"use": "kd", "weight": 0.9, "temperature": 4.0, "standardize": False}


def spec_of(
    role: str = "student",
    model: str = "mobilenetv3_small_100",
    recipe: str = "kd",
    settings: dict[str, Any] | None = None,
    **given: Any,
) -> Spec:
    resolved = update(Recipe(), RESOLVED | {"methods.kd": KD} | (settings or {}))
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
    assert spec.folder_name == FOLDERS[kind]
    assert spec.folder_name.endswith(spec.digest)
