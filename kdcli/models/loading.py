"""A model.pt becomes a module again."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from kdcli.core.errors import DamagedFile, KdError, UsageError
from kdcli.core.text import first_line
from kdcli.models.build import build, resolve
from kdcli.models.checkpoint import ModelFile, load_model
from kdcli.models.foreign.state_dicts import refuse_not_finite
from kdcli.models.model_args import ModelArgs


@dataclass(frozen=True, eq=False)
class Loaded:
    """A model with its weights, and what is known of it."""

    module: nn.Module
    args: ModelArgs
    file: ModelFile


def load(path: Path) -> Loaded:
    """Build the module that the file names and give it its weights; in eval mode, in fp32.

    Raises:
        DamagedFile: the file is damaged, or its weights are no numbers, or do not fit the model
            it names.
        UsageError: there is no such file.
    """
    file = load_model(path)
    args = _args(file, path)
    refuse_not_finite(file.state_dict, str(path))
    try:
        module = build(args)
        module.load_state_dict(file.state_dict)
    except KdError:
        raise
    except (RuntimeError, TypeError, ValueError) as error:
        raise DamagedFile(
            f"{path}: its weights do not fit {args.words} ({first_line(error)})",
            "make it again, or install the timm it was made with: "
            f"{file.provenance.get('versions', {}).get('timm', 'unknown')}",
        ) from error
    return Loaded(module.eval(), args, file)


def read_args(path: Path) -> tuple[ModelArgs, tuple[str, ...]]:
    """The model's arguments and classes, without building it.

    Raises:
        DamagedFile: the file is damaged, or names no model of this kd.
        UsageError: there is no such file.
    """
    file = load_model(path)
    return _args(file, path), file.classes


def answers(path: Path, classes: Sequence[str]) -> bool:
    """Whether a model.pt has these very classes, in their order; a teacher that is taken as it is
    (`teacher.tune: none`) need not."""
    return load_model(path).classes == tuple(classes)


def _is_larger(args: ModelArgs, file: ModelFile) -> bool:
    """Whether it names more copies, or more outputs, than its weights can be of; found out before
    any of them is built."""
    rows = [len(value) for value in file.state_dict.values() if value.dim()]
    return args.copies > len(rows) or args.heads * args.num_classes > max(rows, default=0)


def _args(file: ModelFile, path: Path) -> ModelArgs:
    """Only exact names of timm's registry: a family's may mean another model in a later kd, and
    whoever wrote the file must not have anything fetched."""
    try:
        args = ModelArgs.from_dict(file.model)
        names = [one.name for one in args.networks]
        if [resolve(name).name for name in names] == names:  # timm would also fetch hf-hub: names
            if _is_larger(args, file):
                raise DamagedFile(
                    f"{path}: names more copies or outputs than it has weights of",
                    "make it again, or ask its maker",
                )
            return args
    except (TypeError, AttributeError, UsageError):
        pass
    raise DamagedFile(
        f"{path}: names no model that this kd can build ({file.model.get('name')})",
        "pip install --upgrade kdcli timm",
    )
