"""A training's run.log: who learns what from whom, by which recipe, and how it ended."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kdcli.core.progress import Progress
from kdcli.recipe.edit import dump
from kdcli.recipe.safe_yaml import to_yaml
from kdcli.runs.run import Run


@contextmanager
def run_log(run: Run, device: str, progress: Progress) -> Iterator[None]:
    """Keep RUN/run.log while `run` is trained or resumed; its run.yaml is there already.

    The recipe stands in it resolved: a log that somebody sends says what was trained, without the
    folder. How it ended is told only of a run that is finished.
    """
    with progress.log(run.log) as write:
        write(_story(run, device))
        yield
        if end := run.outcome():
            write(_ending(end))


def _story(run: Run, device: str) -> str:
    spec = run.spec
    recipe = to_yaml(dump(spec.recipe))
    taught = [f"{t.spec.title if t.spec else 'teacher'} {t.words}" for t in spec.teachers]
    beside = [f"peer {model}" for model in spec.peers]
    who = ", ".join([f"{spec.title} {spec.model}", *beside, *taught])
    return (
        f"{who}, data {spec.data.name} ({spec.data.location or 'built in'}), seed {spec.seed}, "
        f"device {device}, digest {spec.digest}\nrecipe {spec.recipe_name}, resolved:\n{recipe}"
    )


def _ending(end: dict[str, Any]) -> str:
    return (
        f"ended: {end['ended']}; best epoch {end['best_epoch']} of {end['epochs']}, validation "
        f"accuracy {end['val_accuracy']:.4f}, {end['seconds']:.0f} s of training"
    )
