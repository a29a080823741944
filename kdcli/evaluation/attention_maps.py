"""Whether a model looks at the same places whichever way it is shown an image."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from kdcli.core.progress import Progress
from kdcli.core.records import Batch
from kdcli.data.loader import plain_batches
from kdcli.data.store import Store
from kdcli.evaluation.measure import Measured, mean
from kdcli.models.alignment import correspondences
from kdcli.models.attention_maps import (
    attention,
    correlation,
    correlation_of_layers,
    energy,
    flatness,
    spatial,
)
from kdcli.models.image_views import ImageView
from kdcli.models.loading import load
from kdcli.models.tap import Tap
from kdcli.recipe.load import scheme_of
from kdcli.report.model import MapsPart
from kdcli.runs.baseline import baseline_of
from kdcli.runs.find import find
from kdcli.runs.run import Run
from kdcli.schemes.attention_self import AttentionSelf

BATCH = 64
"""Images that are asked about together; their maps of all stages are in memory at once."""
FLIP, FAR, NEAR = ImageView(flip=True), ImageView(scale=0.75), ImageView(scale=1.25)
"""The same for every run, whatever views it was trained with."""


def with_maps(
    models: dict[str, Measured],
    students: Sequence[Run],
    test: Store,
    device: torch.device,
    progress: Progress,
) -> dict[str, Measured]:
    """What was measured; of a run of scheme attention_self, student and baseline with what their
    attention maps do on test."""
    scheme = scheme_of(students[0].spec.recipe)
    if not isinstance(scheme, AttentionSelf):
        return models
    baselines = [find(baseline_of(run.spec)) for run in students]
    runs = {"student": students, "baseline": [run for run in baselines if run and run.finished]}
    found = dict(models)
    for role in [role for role in models if runs.get(role)]:
        seeds = [maps_of(run, test, scheme.layers, device, progress) for run in runs[role]]
        if all(seeds):
            part = MapsPart(**{key: mean(one[key] for one in seeds) for key in seeds[0]})
            found[role] = replace(
                found[role], part=found[role].part.model_copy(update={"maps": part})
            )
    return found


@torch.no_grad()
def maps_of(
    run: Run, test: Store, layers: int, device: torch.device, progress: Progress
) -> dict[str, float]:
    """Fields of MapsPart, means over images, of the last so many stages of a run's model; none
    where no stage has more than one cell."""
    model = load(run.model)
    tap = Tap(model.module, model.args, "student").to(device).eval()
    batches = plain_batches(test, num_classes=model.args.num_classes, batch_size=BATCH)
    label = f"where {model.args.name} looks"
    said: list[dict[str, Tensor]] = []
    for batch in progress.track(batches, -(-len(test) // BATCH), label):
        here = batch.to(device)
        if not said:
            shows = frozenset({"stages"})
            correspondences((), {"student": tap}, {}, here.images[:2], read=shows)
        said.append(agreement(partial(_energies, tap, here, layers)))
    return {key: float(torch.cat([one[key] for one in said]).mean()) for key in said[0]}


def agreement(look: Callable[[ImageView], Sequence[Tensor]]) -> dict[str, Tensor]:
    """(B,) values by the fields of MapsPart, means over stages; `look` gives the (B, h, w) energies
    of a view, stage by stage.

    A view is compared with the images' own maps as it would show them, where the loss compares.
    """
    energies = look(ImageView())
    maps = [attention(one) for one in energies]
    if not maps:
        return {}

    def across(view: ImageView) -> Tensor:
        pairs = zip(maps, look(view), strict=True)
        found = [correlation(view.turn(one), attention(other)) for one, other in pairs]
        return torch.stack(found).mean(0)

    found = {"flip": across(FLIP), "scale": (across(FAR) + across(NEAR)) / 2}
    if (layers := correlation_of_layers(maps)) is not None:
        found["layers"] = layers
    return found | {"entropy": torch.stack([flatness(one) for one in energies]).mean(0)}


def _energies(tap: Tap, batch: Batch, layers: int, view: ImageView) -> list[Tensor]:
    shown = replace(batch, images=view.turn(batch.images))
    return [energy(stage) for stage in spatial(tap(shown).stages, layers)]
