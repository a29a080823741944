"""What was trained, and is hardly better than chance: said, so that nobody relies on it."""

from kdcli.data.subset import labelled_split
from kdcli.evaluation.standing import standing_at
from kdcli.runs.run import Run
from kdcli.training.site import Site


def warn_of_chance(run: Run, site: Site) -> None:
    """Of whoever would ship from a training that has ended, as they were after the best epoch:
    model, student or generation, and each of several networks."""
    lines = run.lines()
    best = next((line for line in lines if line.get("epoch") == lines[-1].get("best_epoch")), {})
    labels, spec = site.source.validation.labels, run.spec
    one = {f"{spec.title} {spec.model}": best.get("val_balanced_accuracy", 1.0)}
    for name, recall in best.get("val_balanced_accuracy_of", one).items():
        found = standing_at(name, recall, labels, site.classes)
        if found.weak:
            few = len(labelled_split(spec, site.source)), len(labels)
            site.progress.warn(
                f"{found.words} on {few[1]:,} validation images, after {few[0]:,} training images "
                "with labels: more of them, or pretrained weights, help most"
            )
