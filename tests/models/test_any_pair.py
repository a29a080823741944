"""Any two models of timm: stages match, and a real step with features teaches."""

import pytest
import timm
import torch
from one_of_each import ONE_OF_EACH
from torch import nn

from kdcli.core import registry
from kdcli.core.records import About, Batch
from kdcli.models.build import build, plan, seeded
from kdcli.models.stage_matching import match_stages
from kdcli.models.stages import StageTable, stages_of
from kdcli.models.tap import Tap
from kdcli.models.teachers import Frozen
from kdcli.training.distiller import Distiller, Term

CLASSES = 5

FAMILIES = {
    "plain CNN": "vgg11_bn",
    "mobile CNN with squeeze-excite": "mobilenetv3_small_050",
    "ConvNeXt": "test_convnext",
    "ViT": "test_vit",
    "distilled DeiT": "deit_tiny_distilled_patch16_224",
    "Swin": "swin_tiny_patch4_window7_224",
    "MLP-Mixer": "mixer_s32_224",
    "hybrid": "vit_tiny_r_s16_p8_224",
    "NFNet": "test_nfnet",
    "RepVGG-like": "repvgg_a0",
    "MambaOut": "test_mambaout",
    "MaxViT": "test_maxvit",
}


def table(name: str) -> StageTable:
    config = timm.get_pretrained_cfg(name)
    size = config.input_size[-1] if config else 224
    return stages_of(plan(name, CLASSES, size, None))


@pytest.mark.slow
def test_every_module_of_timm_is_there():
    registry = timm.models._registry._module_to_models
    assert set(ONE_OF_EACH) == {module for module, names in registry.items() if names}
    assert len(ONE_OF_EACH) == 98


@pytest.mark.slow
@pytest.mark.parametrize("module", sorted(ONE_OF_EACH))
def test_a_model_of_every_module_matches_as_student_and_as_teacher(module):
    found = table(ONE_OF_EACH[module])
    assert match_stages(found, table("resnet18"))
    assert match_stages(table("mobilenetv3_small_100"), found)


def test_how_many_families():
    assert len(FAMILIES) == 12


QUICK = ("mobile CNN with squeeze-excite", "ConvNeXt", "ViT", "NFNet", "MambaOut", "MaxViT")


@pytest.mark.parametrize(
    "family", [f if f in QUICK else pytest.param(f, marks=pytest.mark.slow) for f in FAMILIES]
)
def test_a_step_with_kd_fitnet_at_and_rkd(family):
    """As student of a CNN and as teacher of one, on images, with real gradients."""
    name = FAMILIES[family]
    _step(name, "test_resnet")
    _step("test_efficientnet", name)


def _step(student: str, teacher: str) -> None:
    mine, theirs = _tap(student, "student"), _tap(teacher, "teacher.0")
    batch = _batch(mine.args.input_size)
    methods = {name: registry.load("methods", name)() for name in ("kd", "fitnet", "at", "rkd")}
    distiller = Distiller(
        scheme=registry.load("schemes", "offline")(),
        learners={"student": mine},
        teachers={"teacher.0": Frozen(theirs)},
        terms=tuple(Term(name, method, lambda epoch: 1.0) for name, method in methods.items()),
        task_weight=lambda epoch: 1.0,
        example=batch,
        about=About(CLASSES, len(batch.labels), 1, smallest_batch=len(batch.labels)),
    )
    optimizer = torch.optim.AdamW(distiller.parameters(), lr=1e-3)
    before = {key: value.clone() for key, value in mine.module.named_parameters()}
    frozen = {key: value.clone() for key, value in theirs.module.state_dict().items()}
    losses = distiller(batch)
    assert all(torch.isfinite(loss) for loss in losses.terms.values())
    assert all(float(loss.detach()) > 0 for loss in losses.terms.values())
    losses.total.backward()
    nn.utils.clip_grad_norm_(distiller.parameters(), 1.0)
    optimizer.step()
    after = dict(mine.module.named_parameters())
    assert all(torch.isfinite(value).all() for value in after.values())
    assert sum(not torch.equal(before[key], value) for key, value in after.items()) > 5
    assert all(torch.equal(frozen[k], v) for k, v in theirs.module.state_dict().items())


def _tap(name: str, by: str) -> Tap:
    config = timm.get_pretrained_cfg(name)
    args = plan(name, CLASSES, config.input_size[-1], None)
    with seeded(0, by):
        return Tap(build(args), args, by)


def _batch(size: int) -> Batch:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(4) % CLASSES
    return Batch(
        images=torch.rand(4, 3, size, size, generator=generator),
        labels=labels,
        targets=nn.functional.one_hot(labels, CLASSES).float(),
        index=torch.arange(4),
        view=torch.zeros(4, dtype=torch.int64),
    )
