"""One training of a tiny student by a tiny teacher, for tests of the loop."""

from functools import partial

import numpy as np
import torch
from torch import nn

from kdcli.core.progress import Silent
from kdcli.core.records import About
from kdcli.data.loader import Batching, plain_batches, training_batches
from kdcli.data.store import InMemory
from kdcli.methods.kd import KD
from kdcli.models.build import seeded
from kdcli.models.model_args import ModelArgs
from kdcli.models.tap import Tap, predict
from kdcli.models.teachers import Frozen
from kdcli.recipe.train import Train
from kdcli.runs.run import Run
from kdcli.schemes.offline import Offline
from kdcli.training.distiller import Distiller, Term
from kdcli.training.loop import fit
from kdcli.training.resume import Validation

STEPS, SIZE, CLASSES = 4, 8, 3
CPU = torch.device("cpu")
TERMS = (Term("kd", KD(), lambda epoch: 0.9 - 0.1 * epoch),)


class Tiny(nn.Module):
    """With all that could break a repetition: batch norm and dropout."""

    def __init__(self, num_classes=CLASSES):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.norm = nn.BatchNorm2d(8)
        self.drop = nn.Dropout(0.3)
        self.head = nn.Linear(8, num_classes)

    def forward(self, x):
        return self.head(self.drop(self.norm(self.conv(x)).relu().mean((2, 3))))


def store(n=24, size=SIZE):
    generator = torch.Generator().manual_seed(7)
    labels = np.arange(n) % CLASSES
    images = torch.randint(0, 120, (n, 3, size, size), generator=generator, dtype=torch.uint8)
    images[torch.arange(n), torch.from_numpy(labels)] += 100  # one colour per class
    return InMemory(images, labels)


def train(**changes):
    values = {"epochs": 3, "batch_size": 6, "lr": 1e-2, "patience": None, "warmup": "30%"}
    values |= {"trunk_lr": 1.0}
    return Train(**(values | changes))


class Job:
    """One training of a tiny student by a tiny teacher, that can be interrupted and watched."""

    def __init__(
        self,
        folder,
        settings=None,
        seed=0,
        scores=None,
        stop=None,
        module=None,
        size=SIZE,
        terms=TERMS,
        task=lambda epoch: 0.1 + 0.1 * epoch,
        progress=None,
        ends=KeyboardInterrupt,
    ):
        folder.mkdir(parents=True, exist_ok=True)
        self.run, self.settings, self.seed = Run(folder), settings or train(), seed
        self.scores, self.progress = scores, progress or Silent()
        self.stop, self.ends = stop, ends
        self.images = store(size=size)
        self.seen = []  # the weights after each epoch
        how = Batching(
            num_classes=CLASSES,
            batch_size=int(self.settings.batch_size),
            epochs=int(self.settings.epochs),
            seed=seed,
            augment="shift",
            label_smoothing=0.1,
        )
        self.batches = partial(training_batches, self.images, how)
        args = ModelArgs("tiny", CLASSES, size)
        with seeded(seed, "student"):
            self.student = Tap(module() if module else Tiny(), args, "student")
        with seeded(99, "teacher"):
            self.teacher = Frozen(Tap(Tiny(), args, "teacher.0"))
        with seeded(seed, "distiller"):
            self.distiller = Distiller(
                scheme=Offline(),
                learners={"student": self.student},
                teachers={"teacher.0": self.teacher},
                terms=terms,
                task_weight=task,
                example=next(self.batches(epoch=0)),
                about=About(CLASSES, len(self.images), STEPS),
            )

    def feed(self, epoch, done):
        for number, batch in enumerate(self.batches(epoch=epoch, done=done), done):
            if self.stop == ("batch", epoch + number // STEPS, number % STEPS):
                raise self.ends
            yield batch

    def validate(self, model):
        epoch = len(self.run.lines())
        if self.stop == ("validate", epoch):
            raise self.ends
        weights = {k: v.clone() for k, v in model.state_dict().items()}
        self.seen.append(weights)
        if self.scores is not None:
            accuracy, nll = self.scores[epoch]
            return Validation(accuracy, 1 - accuracy, nll)
        logits = predict(model, self.feed_plain(), CPU)
        right = float((logits.argmax(1) == self.images.labels).mean())
        return Validation(right, right, float(np.abs(logits).mean()))

    def feed_plain(self):
        return plain_batches(self.images, num_classes=CLASSES)

    def fit(self):
        kept, self.ended = fit(
            self.distiller,
            self.settings,
            batches=self.feed,
            steps_per_epoch=STEPS,
            validate=self.validate,
            seed=self.seed,
            run=self.run,
            label="student tiny",
            progress=self.progress,
        )
        self.weights = kept["student"]
        return self


def equal(one, other):
    assert one.keys() == other.keys()
    return all(torch.equal(one[key], other[key]) for key in one)


def without_seconds(run):
    clocks = ("seconds", "waited")
    return [{k: v for k, v in line.items() if k not in clocks} for line in run.lines()]
