"""Which image size given weights were trained for, where nobody says: the one that they like."""

import torch

from kdcli.commands.given import Read
from kdcli.data.loader import open_store, plain_batches
from kdcli.data.source import Source
from kdcli.metrics import accuracy
from kdcli.models.build import build
from kdcli.models.tap import Tap, predict
from kdcli.progress import Silent

IMAGES = 128
"""Enough to tell a size that works from one that does not."""


def share_right(found: Read, source: Source, device: torch.device) -> float:
    """Share of some validation images, spread evenly, that the weights get right."""
    split = source.validation.sample(IMAGES)
    store = open_store(split, source.defaults.image_size, Silent())
    module = build(found.args)
    module.load_state_dict(found.fitted.state)
    tap = Tap(module, found.args, "").to(device)
    batches = plain_batches(store, num_classes=found.args.num_classes, batch_size=32, workers=0)
    return accuracy(predict(tap, batches, device), split.labels)
