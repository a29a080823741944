"""What `kd inspect` asks a model about its validation images: answers at several temperatures."""

from collections.abc import Callable
from contextlib import closing
from functools import partial

from kdcli.commands.inspect import Inspected, Onnx, Trained
from kdcli.core.arrays import Floats
from kdcli.core.class_order import places_in
from kdcli.core.errors import KdError, UsageError
from kdcli.core.progress import Progress
from kdcli.data.reopen import is_gone, reopen_data
from kdcli.data.source import Source
from kdcli.data.store import Store, open_store
from kdcli.evaluation.answers import answers_of, counted_batches
from kdcli.evaluation.class_order import permuted_classes
from kdcli.evaluation.temperature import Softened, look, recipe_temperature
from kdcli.models.loading import Loaded
from kdcli.models.tap import Tap
from kdcli.plan.data import open_data
from kdcli.recipe.edit import crop_pct_of, get
from kdcli.training.devices import open_device


def prepare(
    found: Inspected, data: str | None, progress: Progress
) -> Callable[[], Softened] | None:
    """What asks the model about every validation image; None, said aloud, where there are no data.

    Raises:
        UsageError: `data` was given for something that knows no classes of its own.
        UnfitTeacher: the model knows other classes than these data.
    """
    if not isinstance(found, Trained):
        if data is not None:
            what = "kd does not ask an ONNX file" if isinstance(found, Onnx) else "this is none"
            raise UsageError(
                f"--data shows what a trained model answers; {what}",
                "give a run folder or a model.pt",
            )
        return None
    source = _source(found, data, progress)
    return partial(_ask, found, source, progress) if source else None


def _ask(found: Trained, source: Source, progress: Progress) -> Softened:
    recipe = found.loaded.file.recipe
    size = get(recipe, "data.image_size")
    size = size if isinstance(size, int) else found.loaded.args.input_size
    crop_pct = crop_pct_of(get(recipe, "data.crop_pct"))
    store = open_store(source.validation, size, progress, crop_pct=crop_pct)
    logits = _predict(found.loaded, store, progress)
    if (order := _order(found, source)) is not None:
        logits = logits[:, order]
    if renamed := permuted_classes(logits.argmax(1), store.labels, len(source.classes)):
        way = " (--classes labels.txt)" if found.spelled else ""
        progress.warn(f"{found.path}: {renamed.words(source.classes)}{way}")
    return look(logits, store.labels, source, recipe_temperature(recipe))


def _source(found: Trained, data: str | None, progress: Progress) -> Source | None:
    if data is not None:
        source = found.source or open_data(data, progress)[0]
        _order(found, source)  # other classes are refused before the work
        return source
    if found.run is None:
        progress.say(f"{found.path}: no run beside it; give --data to see its answers softened")
        return None
    ref = found.run.spec.data
    if is_gone(ref):
        progress.say(f"{ref.location}: gone, so no answers are softened; --data says where")
        return None
    try:
        return reopen_data(ref, progress)
    except KdError as error:  # the rest of what there is to see does not depend on it
        progress.warn(f"{error.what}; no answers are softened")
        return None


def _order(found: Trained, source: Source) -> list[int] | None:
    """Where the data's classes stand among its answers; None: in the same places."""
    own = found.loaded.file.classes
    return places_in(own, source.classes, str(found.path), "give the data it was trained on")


def _predict(loaded: Loaded, store: Store, progress: Progress) -> Floats:
    device = open_device("auto")
    tap = Tap(loaded.module, loaded.args, "").to(device)
    with closing(counted_batches(1, store, progress)) as ticks:
        return answers_of(tap, store, device, ticks)
