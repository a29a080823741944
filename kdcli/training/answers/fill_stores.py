"""Teachers that are asked before anybody learns from them: for several trainings, that look their
answers up at the same time."""

from kdcli.core.errors import UsageError
from kdcli.data.photographs import open_training
from kdcli.data.store import MOST_BYTES, plain_store
from kdcli.data.subset import training_split
from kdcli.recipe.load import scheme_of
from kdcli.runs.spec import Spec
from kdcli.training.answers.decide import Way, decide
from kdcli.training.answers.stored_teachers import open_stored
from kdcli.training.batching import batching_of
from kdcli.training.ensure import teacher_files
from kdcli.training.site import Site


def fill_stores(spec: Spec, site: Site) -> Way:
    """Ask the teachers of `spec`, which are trained where there are none, about every view that its
    training will look at; what is there already is not asked again.

    Raises:
        UsageError: answers to this training cannot be stored.
    """
    files = teacher_files(spec, site)
    way = decide(spec, site, files, begun=True)
    if not way.stored or scheme_of(spec.recipe).labelled_by_teachers:
        raise UsageError(f"--only answers: nothing to store, {way.why or 'nobody is asked'}")
    if way.missing:
        training = training_split(spec, site.source)
        images = (
            open_training(training, spec.recipe, site.progress, MOST_BYTES),
            plain_store(site.source.validation, spec.recipe, site.progress),
        )
        how = batching_of(spec, site.classes, images[0].labels)
        open_stored(spec, site, files, way, images, how).fill(way.wanted)
    return way
