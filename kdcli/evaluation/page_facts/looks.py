"""Attention maps of a few test images: where each model looks."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from kdcli.core.arrays import Floats
from kdcli.core.errors import KdError
from kdcli.core.records import Batch
from kdcli.data.store import Store
from kdcli.evaluation.page_facts.pictures import Draw, under, uri
from kdcli.models.alignment import correspondences
from kdcli.models.attention_maps import energy, spatial
from kdcli.models.loading import load
from kdcli.models.tap import Tap
from kdcli.report.page.facts import Attention, Looks

FINE = 16
"""Cells that a map should have: fewer say of no place."""


def attention(
    files: Mapping[str, Path],
    images: Sequence[int],
    store: Store,
    draw: Draw,
    classes: Sequence[str],
) -> Attention | None:
    """A row per image, a column per model that has maps; None where no model has."""
    rows = np.array(images, np.int64)
    pixels = store.fetch(rows).float() / 255
    energies = {
        who: found for who, file in files.items() if (found := _energies(file, pixels)) is not None
    }
    if not energies:
        return None
    return Attention(
        {who: (maps.shape[1], maps.shape[2]) for who, maps in energies.items()},
        tuple(
            Looks(
                uri(draw(image)),
                classes[store.labels[image]],
                {who: uri(under(draw(image), maps[row])) for who, maps in energies.items()},
            )
            for row, image in enumerate(images)
        ),
    )


@torch.no_grad()
def _energies(file: Path, pixels: torch.Tensor) -> Floats | None:
    """(B, h, w) of the last stage that is fine enough, else of the finest; None of a model that
    shows no maps."""
    model = load(file)
    tap = Tap(model.module, model.args, "student").eval()
    labels = torch.zeros(len(pixels), dtype=torch.int64)
    batch = Batch(
        images=pixels,
        labels=labels,
        targets=torch.zeros(len(pixels), model.args.num_classes),
        index=labels,
        view=labels,
    )
    try:
        correspondences((), {"student": tap}, {}, pixels[:2], read=frozenset({"stages"}))
        shown = tap(batch).stages
    except KdError:
        return None
    stages = spatial(shown, len(shown))
    if not stages:
        return None
    cells = [stage.shape[2] * stage.shape[3] for stage in stages]
    fine = [stage for stage, n in zip(stages, cells, strict=True) if n >= FINE]
    chosen = fine[-1] if fine else stages[int(np.argmax(cells))]
    found: Floats = energy(chosen).float().numpy()
    return found
