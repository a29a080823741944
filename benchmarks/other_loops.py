"""Loops of others for `rivals.py`: by hand with torchvision, timm.task, torchdistill; and images.

Each takes the flags of rivals.py and gives a function that trains for one epoch.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, RandomSampler

from kdcli.data.crops import AREA, ASPECT

Epoch = Callable[[], None]
TEMPERATURE, LABELS, SOFT = 4.0, 0.1, 0.9
"""The recipe kd."""
CLASSES = 10


def models(asked: argparse.Namespace) -> tuple[nn.Module, nn.Module]:
    """Teacher and student, laid out as kd has them."""
    teacher = timm.create_model(asked.teacher, num_classes=CLASSES).eval().requires_grad_(False)
    student = timm.create_model(asked.student, num_classes=CLASSES).train()
    for model in (teacher, student):
        model.to(asked.place).to(memory_format=torch.channels_last)
    return teacher, student


def images(asked: argparse.Namespace, prepare: bool = True) -> Any:
    """torchvision's way from files to images; `prepare` leaves normalising in."""
    from torchvision import datasets, transforms

    vary = (
        [transforms.Resize(asked.size), transforms.RandomCrop(asked.size, asked.size // 8)]
        if asked.data == "digits"
        else [
            transforms.RandomResizedCrop(asked.size, AREA, ASPECT),
            transforms.RandomHorizontalFlip(),
        ]
    )
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    ready = [transforms.ToTensor(), transforms.Normalize(mean, std)] if prepare else []
    return datasets.ImageFolder(asked.files / "train", transforms.Compose([*vary, *ready]))


def loader(asked: argparse.Namespace) -> Any:
    """As everybody writes it."""
    return DataLoader(
        images(asked),
        asked.batch,
        shuffle=True,
        drop_last=True,
        num_workers=asked.workers,
        persistent_workers=asked.workers > 0,
        pin_memory=asked.place.type == "cuda",
    )


def by_hand(asked: argparse.Namespace) -> Epoch:
    """The loop that one would write for exactly this."""
    (teacher, student), batches = models(asked), loader(asked)

    def loss_of(pixels: Tensor, labels: Tensor) -> Tensor:
        with torch.no_grad():
            target = F.log_softmax(teacher(pixels).float() / TEMPERATURE, 1)
        logits = student(pixels).float()
        soft = F.log_softmax(logits / TEMPERATURE, 1)
        kd = F.kl_div(soft, target, log_target=True, reduction="batchmean") * TEMPERATURE**2
        return LABELS * F.cross_entropy(logits, labels) + SOFT * kd

    return trained(asked, student, batches, loss_of)


def timm_task(asked: argparse.Namespace) -> Epoch:
    """timm's own task; photographs by timm's own loader, with its prefetcher on a GPU."""
    from timm.data.loader import create_loader
    from timm.task import LogitDistillationTask

    (teacher, student), batches = models(asked), None
    if asked.data == "photographs":
        batches = create_loader(
            images(asked, prepare=False),
            (3, asked.size, asked.size),
            asked.batch,
            is_training=True,
            use_prefetcher=asked.place.type == "cuda",
            scale=AREA,
            ratio=ASPECT,
            color_jitter=0.0,
            interpolation="bilinear",
            num_workers=asked.workers,
            device=asked.place,
        )
    task: Any = LogitDistillationTask(
        student,
        teacher,
        nn.CrossEntropyLoss(),
        task_loss_weight=LABELS,
        temperature=TEMPERATURE,
        device=asked.place,
    ).train()
    return trained(asked, student, batches or loader(asked), lambda *both: task(*both)["loss"])


def torchdistill(asked: argparse.Namespace) -> Epoch:
    """torchdistill's DistillationBox, as its examples set it up."""
    from torchdistill.core.distillation import DistillationBox

    teacher, student = models(asked)
    answers = {
        f"{who}_module_{key}": value
        for who in ("student", "teacher")
        for key, value in (("path", "."), ("io", "output"))
    }
    kd_loss = {"key": "KDLoss", "kwargs": {**answers, "temperature": TEMPERATURE, "alpha": LABELS}}
    terms = {"kd": {"criterion": kd_loss, "weight": 1.0}}
    one = {"forward_hook": {"input": [], "output": []}, "forward_proc": "forward_batch_only"}
    box = DistillationBox(
        teacher,
        student,
        {"train": images(asked)},
        {
            "num_epochs": asked.epochs,
            "train_data_loader": {
                "dataset_id": "train",
                "sampler": {"class_or_func": RandomSampler},
                "kwargs": {
                    "batch_size": asked.batch,
                    "num_workers": asked.workers,
                    "drop_last": True,
                    "persistent_workers": asked.workers > 0,
                    "pin_memory": asked.place.type == "cuda",
                },
            },
            "teacher": one | {"requires_grad": False},
            "student": one | {"requires_grad": True},
            "optimizer": {
                "key": "AdamW",
                "kwargs": {"lr": 1e-3, "weight_decay": 0.05},
                "max_grad_norm": 1.0,
            },
            "criterion": {"key": "WeightedSumLoss", "kwargs": {"sub_terms": terms}},
        },
        asked.place,
        None,
        False,
        1,
    )

    def epoch() -> None:
        box.pre_epoch_process(epoch=0)
        for pixels, labels, further in box.train_data_loader:
            pixels = pixels.to(asked.place, non_blocking=True)
            labels = labels.to(asked.place, non_blocking=True)
            with autocast(asked):
                loss = box.forward_process(pixels, labels, further)
            box.post_forward_process(loss=loss)

    return epoch


def trained(
    asked: argparse.Namespace,
    student: nn.Module,
    batches: Any,
    loss_of: Callable[[Tensor, Tensor], Tensor],
) -> Epoch:
    """An epoch with kd's optimiser, clipping and kind of schedule."""
    optimizer = torch.optim.AdamW(student.parameters(), lr=1e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 1000)

    def epoch() -> None:
        for pixels, labels in batches:
            pixels = pixels.to(asked.place, non_blocking=True, memory_format=torch.channels_last)
            labels = labels.to(asked.place, non_blocking=True)
            with autocast(asked):
                loss = loss_of(pixels, labels)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(student.parameters(), 1.0)
            optimizer.step()
            schedule.step()

    return epoch


def autocast(asked: argparse.Namespace) -> torch.autocast:
    return torch.autocast(asked.place.type, torch.bfloat16, enabled=asked.precision == "bf16")


# The files ---------------------------------------------------------------------------------------


def digits(folder: Path, _: int) -> Path:
    """scikit-learn's 1,797 digits of 8 x 8 pixels as PNG files, 1,077 of them to learn from."""
    from sklearn.datasets import load_digits

    found = load_digits()
    for i, (image, label) in enumerate(zip(found.images, found.target, strict=True)):
        save(Image.fromarray((image * 15).astype(np.uint8)).convert("RGB"), folder, i % 5, label, i)
    return folder


def photographs(folder: Path, images: int) -> Path:
    """Noise around a class's colour, so that files have a photograph's bytes: as many as asked to
    learn from, a fifth on top for validation, and for test."""
    noise = np.random.default_rng(0)
    for i in range(images * 5 // 3):
        label = i // 5 % CLASSES
        level = noise.integers(0, 256, (24, 32, 3)).astype(np.uint8)
        level[..., label % 3] //= 2 + label // 3
        large = np.asarray(Image.fromarray(level).resize((500, 375)), np.int16)
        large = large + noise.integers(-12, 13, large.shape, np.int16)
        save(Image.fromarray(large.clip(0, 255).astype(np.uint8)), folder, i % 5, label, i)
    return folder


def save(image: Image.Image, folder: Path, part: int, label: int, i: int) -> None:
    """Three of five to learn from, one for validation, one for test."""
    place = folder / ("train", "train", "train", "val", "test")[part] / str(label)
    place.mkdir(parents=True, exist_ok=True)
    small = max(image.size) < 100
    image.save(place / f"{i}.{'png' if small else 'jpg'}", quality=90)  # of which PNG has none
