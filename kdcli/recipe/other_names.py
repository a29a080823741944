"""What people call the recipe's keys, as data, and which key an unknown one was meant to be."""

import difflib
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from kdcli.core import registry
from kdcli.core.errors import UsageError
from kdcli.core.other_names import called, or_words, spelling
from kdcli.core.text import did_you_mean, some
from kdcli.recipe.places import fields_of, keys, keys_at
from kdcli.recipe.schema import Recipe

OTHER_NAMES = {
    "train.lr": "learning_rate learningrate base_lr max_lr peak_lr initial_lr init_lr lr0 eta rate",
    "train.epochs": "epoch e nepochs niter iterations iters steps max_steps",
    "train.batch_size": "batch b bs bsize bsz batchsize train_batch_size minibatch",
    "train.optimizer": "opt optim optimiser solver adam adamw sgd",
    "train.weight_decay": "wd decay l2 weightdecay l2_reg",
    "train.warmup": "warm_up warmup_epochs warmup_steps lr_warmup warmup_ratio",
    "train.clip": "grad_clip gradient_clip clip_grad max_norm clip_norm gradient_clipping "
    "max_grad_norm clip_gradient gradient_clip_val",
    "train.save_minutes": "save_every save_interval save_steps checkpoint_every checkpoint_minutes",
    "train.patience": "early_stop early_stopping earlystopping early_stopping_patience",
    "train.accumulate": "accum grad_accum gradient_accumulation accumulation "
    "gradient_accumulation_steps accumulate_grad_batches",
    "train.ema": "ema_decay model_ema moving_average",
    "train.mixup": "mix_up mixup_alpha",
    "train.cutmix": "cut_mix cutmix_alpha",
    "train.tune": "freeze freeze_backbone frozen linear_probe head_only finetune fine_tune",
    "train.balance": "class_weights class_weight balanced sampler weighted_sampler imbalance",
    "train.select": "monitor metric best_metric",
    "train.until": "target target_accuracy stop_at",
    "task.label_smoothing": "smoothing labelsmoothing ls",
    "task.weight": "ce_weight cls_weight hard_weight label_weight",
    "data.image_size": "img_size imgsize imgsz image_sz size resolution input_size crop_size res",
    "data.crop_pct": "crop_ratio center_crop centre_crop test_crop_pct crop_percent",
    "data.augment": "aug augs augmentation augmentations transform transforms",
    "data.randaugment": "rand_aug randaug aa auto_augment autoaugment",
    "data.subset": "fraction sample samples limit train_fraction",
    "data.unlabelled": "unlabeled unlabelled_data",
    "student.pretrained": "imagenet pretrain use_pretrained",
    "student.precision": "amp fp16 bf16 half mixed_precision dtype",
    "methods.*.temperature": "t temp tau kd_t kd_temp kd_temperature",
    "methods.*.weight": "alpha beta gamma lambda lambda_kd kd_weight distill_weight kd_alpha "
    "distillation_weight loss_weight",
    "methods": "method loss losses distiller",
    "--seed": "seed random_seed manual_seed",
    "--device": "device gpu gpus cuda gpu_id accelerator",
    "--data": "data path data_dir data_path data_root dataset root train_dir",
    "--out": "out output out_dir output_dir save_dir save_path",
    "--student": "student model arch architecture name backbone net network",
    "--teacher": "teacher",
    "--recipe": "recipe",
    "KD_WORKERS=... in the environment": "workers num_workers nworkers n_workers",
    "train.warmup (a cosine to zero comes behind it, always)": "scheduler schedule lr_scheduler "
    "sched cosine lr_schedule step_size milestones",
    "train.optimizer=sgd (it has Nesterov momentum 0.9)": "momentum nesterov",
}
"""Full key, flag, or what there is in its place: what else it is called. `*`: of each method."""

_IN_ITS_RECIPE = ("train", "task", "data", "methods", "student")
"""Sections of the recipe that trains a teacher."""

_APART = ("who.", "match.", "teacher.checkpoints.")
"""Rarely what is meant by whoever does not write the section."""

_COUNTS = ("n_", "num_", "max_", "number_of_", "total_", "train_", "nb_")


def likely(path: str, further: Sequence[str]) -> tuple[str, ...]:
    """Which keys (in full) or flags an unknown key was meant to be, the likeliest first.

    `further`: keys beside the schema's, as of the recipe's methods (`methods.kd.temperature`).
    """
    section, _, word = path.rpartition(".")
    everywhere = [key for key in keys() if not key.startswith(_APART)]
    beside = [*_beside(section), *(k for k in further if k.rpartition(".")[0] == section)]
    known = [*beside, *everywhere, *further]
    plain = spelling(word)
    bare = next((plain.removeprefix(p) for p in _COUNTS if plain.startswith(p)), plain)
    for one in dict.fromkeys((plain, bare)):
        named = [k for k in known if k.rpartition(".")[2] == one and k not in (path, "scheme.name")]
        also = [key for name in called(one, OTHER_NAMES) for key in _each(name, known)]
        # a flag goes before keys of its name: --seed before who.seed
        found = [*(name for name in also if name.startswith("--")), *named, *also]
        if found:
            here = [key for key in found if section and key.startswith(f"{section}.")]
            return tuple(here or found)
    near = _near(word, beside) or _near(word, known)
    return (near,) if near else tuple(difflib.get_close_matches(path, known, n=1, cutoff=0.75))


def in_words(path: str, value: Any, further: Sequence[str]) -> str:
    """`; did you mean 'train.lr'?` of an unknown key that holds `value`; nothing where none is.

    `further` as of `likely`.
    """
    section, _, _ = path.rpartition(".")
    if section == "teacher" and path[8:] in _IN_ITS_RECIPE:
        inside = list(value) if isinstance(value, dict) else []
        own = [f"teacher.{key}" for key in inside]
        if own and set(own) <= set(keys()):  # teacher.train.tune
            return or_words(own)
        return _in_its_recipe([f"{path[8:]}.{key}" for key in inside] or [path[8:]])
    if isinstance(value, dict) and value and not section:  # a whole section is unknown
        if any(key.startswith(f"methods.{path}.") for key in further):
            inside = [f"methods.{path}.{key}" for key in value]
            return or_words(one for key in inside for one in _itself_or_likely(key, further))
        if near := did_you_mean(path, Recipe.model_fields):
            return near
        return or_words(key for word in value for key in likely(word, further))
    found = likely(path, further)
    if section == "teacher" and found and found[0].startswith(("train.", "task.", "data.")):
        return _in_its_recipe(found[:1])
    if section == "teacher":  # its name, its model
        found = tuple("--teacher" if "student" in key else key for key in found)
    return or_words(found)


def _in_its_recipe(found: Sequence[str]) -> str:
    what = some(map(repr, found), 3) + (" stands" if len(found) == 1 else " stand")
    return f"; {what} in the recipe that teacher.recipe names, a file of yours"


def option_keys(raw: dict[str, Any]) -> list[str]:
    """The keys in full of its methods and its scheme, as far as there are such."""
    named: dict[str, Any] = {"scheme": ("schemes", raw["scheme"])}
    methods = raw["methods"] if isinstance(raw["methods"], dict) else {}
    named |= {f"methods.{key}": ("methods", use) for key, use in methods.items()}
    found = []
    for path, (kind, use) in named.items():
        use = use if isinstance(use, dict) else {}
        with suppress(UsageError):
            own = registry.load(kind, str(use.get("name") or use.get("use") or path[8:]))
            found += [f"{path}.{key}" for key in ("weight", *fields_of(own))]
    return found


def _beside(section: str) -> list[str]:
    """The keys of a section, also of one in a list (`match.augment.0`)."""
    start = f"{section}." if section else ""
    return [start + name for name in keys_at(section)]


def _itself_or_likely(path: str, further: Sequence[str]) -> tuple[str, ...]:
    return (path,) if path in further else likely(path, further)


def _each(name: str, known: Sequence[str]) -> list[str]:
    """`methods.*.weight` of each method that there is."""
    if "*" not in name:
        return [name]
    last = name.rpartition(".")[2]
    return [k for k in known if k.startswith("methods.") and k.rpartition(".")[2] == last]


def _near(word: str, known: Sequence[str]) -> str | None:
    last = {key.rpartition(".")[2]: key for key in reversed(known)}
    begun = sorted((w for w in last if len(word) > 2 and w.startswith(word)), key=len)
    near = begun or difflib.get_close_matches(word, last, n=1, cutoff=0.7)
    return last[near[0]] if near else None
