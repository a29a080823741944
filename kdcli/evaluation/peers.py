"""Who learnt with the student, on test: each a role of its own, and student and peers as one."""

import shlex
from collections.abc import Container, Mapping
from pathlib import Path

import numpy as np
import torch

from kdcli.core.records import Panel
from kdcli.data.source import Source
from kdcli.data.store import Store
from kdcli.evaluation.answers import together
from kdcli.evaluation.measure import Measured, measure, scores
from kdcli.evaluation.teacher_ensemble import role_of_all
from kdcli.report.model import ModelPart
from kdcli.runs.run import Run


def measure_beside(
    students: list[Run], known: Container[str], test: Store, device: torch.device
) -> dict[str, Measured]:
    """Each that every seed has kept, one model.pt per seed; but for roles that are `known`."""
    kept = [_roles(run) for run in students]
    shared = [role for role in kept[0] if all(role in files for files in kept)]
    return {
        role: measure([files[role] for files in kept], test, device)
        for role in shared
        if role not in known
    }


def _roles(run: Run) -> dict[str, Path]:
    """A peer that ships has left its place to the network that began as the student: both are
    built alike, so that `peer_2` has one architecture whatever ships."""
    found, ships = run.others(), run.ships
    if ships.startswith("peer.") and "peer_0" in found:
        found[ships.replace(".", "_")] = found.pop("peer_0")
    return {role: found[role] for role in sorted(found, key=lambda role: (len(role), role))}


def measure_peers(
    students: list[Run], models: dict[str, Measured], source: Source, test: Store
) -> dict[str, Measured]:
    """Role `peers`: all networks of each seed as one, the mean of their probabilities; it costs
    what they cost together. A fused model that ships is none of them. Empty for schemes without
    peers, or where one of them is gone."""
    ships = students[0].ships
    alone = ("student",) if ships == "student" or ships.startswith("peer.") else ()
    networks = [models[role] for role in models if role in alone or role.startswith("peer_")]
    count = 1 + len(students[0].spec.peers)
    if len(networks) != count or count == 1:
        return {}
    rows = zip(*(one.logits for one in networks), strict=True)
    logits = np.stack([together(answers, Panel.even(count)) for answers in rows])
    scored = scores(logits, test.labels, source.classes, [run.spec.seed for run in students])
    student = models["student"].part  # its time is that of all networks together
    scored |= {"train_seconds": student.train_seconds, "epochs": student.epochs}
    return {"peers": Measured(logits, role_of_all([one.part for one in networks], scored))}


def notes_on_peers(students: list[Run]) -> list[str]:
    """Which network ships, where several might have, and what the training time is that of."""
    found, count = [], 1 + len(students[0].spec.peers)
    if candidates := students[0].candidates:
        found.append(_who_ships(students, candidates))
    if any(run.ships.startswith("peer.") for run in students):
        found.append(
            "where a peer ships, its column shows the network that began as the student "
            "(model.peer_0.pt)"
        )
    if count > 1:
        found.append(f"the student's training time is that of all {count} networks together")
    return found


def notes_on_exits(run: Run, models: Mapping[str, ModelPart]) -> list[str]:
    """Of which epoch the early exits are, and which of them do better than what ships."""
    early = [role for role in models if role.startswith("exit_")]
    if not early:
        return []
    return [
        "the early exits are kept as they were at the best epoch of the deepest: nobody has "
        "measured them on validation",
        *(_better(role, run, models) for role in early if _ahead(models[role], models["student"])),
    ]


def _ahead(one: ModelPart, other: ModelPart) -> bool:
    return (one.accuracy or 0.0) > (other.accuracy or 0.0)


def _better(role: str, run: Run, models: Mapping[str, ModelPart]) -> str:
    share = models[role].params / models["student"].params
    return (
        f"{role.replace('_', ' ')} is more accurate on test than what ships, at {share:.0%} of its "
        f"parameters: kd export {shlex.quote(str(run.path))} --which {role}"
    )


def _who_ships(students: list[Run], candidates: int) -> str:
    if len(students) == 1:
        who = f"{students[0].ships} was best on validation and ships"
    else:
        each = ", ".join(f"{run.ships} (seed {run.spec.seed})" for run in students)
        who = f"{each} were best on validation and ship"
    return (
        f"of {candidates} networks that could ship, {who}: picking the best of {candidates} is "
        "part of the scheme's gain"
    )
