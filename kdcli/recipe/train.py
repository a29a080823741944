"""`train:` in a recipe: the training itself."""

from typing import Annotated, Literal

from pydantic import Field

from kdcli.core.options import NO_WEIGHT, Later, Options
from kdcli.recipe.data import Auto
from kdcli.recipe.weight import Span

_Many = Annotated[int, Field(ge=2, le=20_000_000)]
"""Of a longer epoch the order alone would fill the memory."""


class Until(Options):
    """Good enough: training may end."""

    accuracy: Annotated[float, Field(gt=0, le=1)]
    """On validation."""


# What stands here is for everybody; epochs, batch, rate and patience are the data's (`auto`, see
# data/defaults.py and each source). 0.05 is DeiT's weight decay with AdamW (arXiv:2012.12877), a
# norm of 1 that of the long schedules of arXiv:2106.05237.
class Train(Options):
    """The training itself; the baseline gets the same."""

    epochs: Annotated[int, Field(ge=1, le=1_000_000)] | Auto = "auto"
    epoch_images: Annotated[_Many | Auto | None, Later(None)] = "auto"
    """So many images are an epoch, less than a pass over all or more; null: a pass over those with
    labels. `auto`: that, but with a data.labelled_share a pass over those without, too."""
    batch_size: Annotated[int, Field(ge=2)] | Auto = "auto"
    """At least 2: batch norm has nothing to average over in one image."""
    optimizer: Literal["adamw", "sgd"] = "adamw"
    """SGD has Nesterov momentum 0.9."""
    lr: Annotated[float, Field(gt=0)] | Auto = "auto"
    """At its peak; warm-up before, cosine to zero behind."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.05
    """Never on biases and norms."""
    warmup: Span | None = "5%"
    clip: Annotated[float, Field(gt=0)] | None = 1.0
    """Largest norm of the gradient."""
    patience: Annotated[int, Field(ge=1)] | Auto | None = "auto"
    """End after so many epochs without a better best epoch (converged): validation accuracy, and
    NLL where that is equal."""
    until: Until | None = None
    """End as soon as this is reached (satisfactory)."""
    select: Literal["accuracy", "balanced_accuracy"] = "accuracy"
    """What the best epoch is best at, on validation."""
    balance: Literal["none", "sampler", "loss"] = "none"
    """Of rare classes: shown as often as the others, or weighted in the labels' loss."""
    tune: Literal["all", "head"] = "all"
    """`head`: the frozen trunk runs once over the data, and only the classifier is fitted."""
    trunk_lr: Annotated[float, Field(gt=0, le=1)] | Auto = "auto"
    """The rate of all but the classifier, as a share of lr."""
    mixup: Annotated[float, Field(ge=0)] = 0.0
    """alpha of Beta(alpha, alpha) for blending pairs of images; 0 is off (arXiv:1710.09412)."""
    cutmix: Annotated[float, Field(ge=0)] = 0.0
    """The same for pasting a box of one image into another (arXiv:1905.04899)."""
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Decay of a moving average of the weights, which is then what is measured and ships."""
    accumulate: Annotated[int, Field(ge=1)] = 1
    """Split each batch into so many parts that pass through the model one after another."""
    sync_batchnorm: Annotated[bool, Later(False)] = False
    """Of several processes on GPUs: batch norms average over the whole batch, not each over its
    process's share."""
    compile: Annotated[bool | Auto, NO_WEIGHT] = "auto"
    """Let torch.compile make the models' steps faster. In no digest, as the device and the threads
    are in none: it adds in another order, so that last bits differ, and nothing else."""

    save_minutes: Annotated[Annotated[float, Field(gt=0)] | None, NO_WEIGHT] = 5.0
    """So long after the last one a resume state is written within an epoch, too: the most that a
    kill loses. null: only after epochs."""

    def epoch_of(self, known: int) -> int:
        """Images of an epoch, where so many have labels."""
        return self.epoch_images if isinstance(self.epoch_images, int) else known
