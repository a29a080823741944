"""A model.pt of kd whose classes are the data's in another order becomes one in theirs."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import torch

from kdcli.core.class_order import difference, places_in
from kdcli.core.errors import UnfitTeacher
from kdcli.core.files import sha256
from kdcli.core.progress import Progress
from kdcli.models.build import build, build_meta
from kdcli.models.checkpoint import Weights, load_model, save_model
from kdcli.models.loading import Loaded, load, read_args
from kdcli.models.model_args import ModelArgs
from kdcli.runs.find import runs_root
from kdcli.runs.names import folder_name, slug

OTHER_CLASSES = (
    "give a teacher of these classes, or a model's name to have one trained; of foreign weights, "
    "--classes FILE says what their classes are called in the data; or --recipe simreg --set "
    "teacher.tune=none, which asks it for what it sees"
)


def in_order(path: Path, classes: tuple[str, ...], data: str, progress: Progress) -> Path:
    """A teacher's model.pt with the classes in the order of the data's: itself, or a copy below the
    runs, made once. `data` is their name.

    Raises:
        UnfitTeacher: its classes are others, or nothing in the model can be put in order.
    """
    _, own = read_args(path)
    order = places_in(own, classes, f"teacher {path}", OTHER_CLASSES)
    if order is None:
        return path
    told = json.dumps([sha256(path), classes], ensure_ascii=False)
    digest = hashlib.sha256(told.encode()).hexdigest()[:8]
    loaded = load(path)
    name = folder_name(["given", slug(loaded.args.name), slug(data), digest])
    place = runs_root() / name / "model.pt"
    if not place.is_file():
        state = _reordered(loaded, order)
        if state is None:
            what = f"teacher {path} does not fit the data: {difference(own, classes)}"
            raise UnfitTeacher(what, OTHER_CLASSES)
        save_model(replace(load_model(path), state_dict=state, classes=classes), place)
    progress.say(f"{path}: its classes put in the order of the data's, as {place}")
    return place


def _reordered(loaded: Loaded, order: list[int]) -> Weights | None:
    """The weights with new class i where class order[i] was: the rows of every tensor that grows
    with the number of classes. None where the answers do not follow; two images are tried."""
    args, state = loaded.args, dict(loaded.file.state_dict)
    one, more = (build_meta(_with_classes(args, args.num_classes + n)).state_dict() for n in (0, 1))
    for key in (key for key in one if one[key].shape != more[key].shape):
        value = state[key]
        rows = value.reshape(-1, args.num_classes, *value.shape[1:])  # heads one after another
        state[key] = rows[:, order].reshape(value.shape)
    after = build(args).eval()
    after.load_state_dict(state)
    images = torch.rand(
        2, 3, args.input_size, args.input_size, generator=torch.Generator().manual_seed(0)
    )
    with torch.no_grad():
        before, now = (
            model(images).reshape(2, -1, args.num_classes) for model in (loaded.module, after)
        )
    return state if torch.allclose(now, before[..., order], rtol=1e-4, atol=1e-4) else None


def _with_classes(args: ModelArgs, classes: int) -> ModelArgs:
    peers = tuple(replace(peer, num_classes=classes) for peer in args.peers)
    return replace(args, num_classes=classes, peers=peers)
