"""How many threads a training takes that nobody has planned: it is rehearsed at its turn."""

import torch

from kdcli.core.progress import Progress
from kdcli.data.source import Source
from kdcli.plan.rehearsal import estimate
from kdcli.runs.spec import Spec
from kdcli.training.threads import Choose


def by_rehearsal(source: Source, device: torch.device, progress: Progress) -> Choose:
    """Asked once for trainings that differ in their seeds alone, and said aloud."""
    known: dict[str, int | None] = {}

    def choose(spec: Spec) -> int | None:
        if spec.kind not in known:
            found = estimate(spec, source, device)
            known[spec.kind] = found.threads
            if found.threads:
                progress.say(chosen([found.words_on_threads]))
        return known[spec.kind]

    return choose


def chosen(words: list[str]) -> str:
    """One line for the choices of one command."""
    return f"threads: {', '.join(words)}, as a few steps took the least time (or set KD_THREADS)"
