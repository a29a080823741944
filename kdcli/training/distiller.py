"""One nn.Module for a whole training: forward(batch) -> named losses.

It holds what learns (students, the scheme's parts, the methods' adapters), so that one optimiser
and one resume state have all of it; frozen teachers stay outside its state.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from kdcli.core.errors import UnmetNeeds
from kdcli.core.method import Method
from kdcli.core.records import About, Batch, Lesson, Outputs, Pair, Teacher
from kdcli.core.scheme import Scheme
from kdcli.models.alignment import correspondences
from kdcli.models.stage_matching import Correspondence
from kdcli.models.tap import Tap
from kdcli.models.teachers import Live
from kdcli.recipe.match import Match
from kdcli.training.disturb import disturb_teachers, refuse_unread
from kdcli.training.losses import Losses, task_loss
from kdcli.training.needs import missing, refuse_or_skip
from kdcli.training.processes.exchange import whole_batch, whole_outputs

NO_WISHES = Match()
WeightAt = Callable[[float], float]
"""A weight as a function of the epochs done."""


@dataclass(frozen=True)
class Term:
    """A method in use: its name in logs, itself, and its weight."""

    name: str
    method: Method
    weight: WeightAt


class Distiller(nn.Module):
    """Runs one step's lesson; built, and checked against `example`, before the first step. Names of
    submodules are keys of state.pt: `learners`, `parts`, `adapters`."""

    class_weights: Tensor | None
    """(K,) of the labels' loss class by class; the methods' losses are left alone."""

    def __init__(
        self,
        scheme: Scheme,
        learners: Mapping[str, nn.Module],
        teachers: Mapping[str, Teacher],
        terms: tuple[Term, ...],
        task_weight: WeightAt,
        example: Batch,
        about: About,
        match: Match = NO_WISHES,
        seed: int = 0,
    ) -> None:
        """Tells every tap what to show, matches stages, and builds what schemes and methods learn.

        Raises:
            UnmetNeeds: a method needs what the scheme, or one of the models, does not give.
            UsageError: `match` names stages that are not there.
        """
        super().__init__()
        if not scheme.needs_teacher:
            teachers = {}  # only compared against
        methods = [term.method for term in terms]
        self.scheme = scheme
        self.learners = nn.ModuleDict({_key(name): tap for name, tap in learners.items()})
        self._names = tuple(learners)
        self.teachers = dict(teachers)
        self._terms = terms
        self._all_known = about.labels is not None and bool((about.labels >= 0).all())
        self._task_weight = task_weight
        self._correspondences = correspondences(
            methods,
            {name: one for name, one in learners.items() if isinstance(one, Tap)},
            {name: one.tap for name, one in teachers.items() if isinstance(one, Live)},
            example.images[:2],  # enough to see whether a model's parts add up
            match.pairs,
            scheme.needs,
        )
        refuse_unread(match.augment, methods)
        self._augment, self._seed = match.augment, seed
        self.register_buffer("class_weights", None, persistent=False)  # moves along, is not saved
        with _probing(self):
            answers = {name: model(example) for name, model in self._models().items()}
            device = example.images.device
            self.parts = nn.ModuleDict(scheme.parts(answers, about)).to(device)
            lesson = self._lesson(example)  # undisturbed: adapters are built for what a teacher is
        named = {term.name: term.method for term in terms}
        self.skipped = refuse_or_skip(named, lesson, type(scheme).__module__.split(".")[-1])
        adapters = self._adapters(lesson, about)
        self.adapters = nn.ModuleDict(adapters).to(device)
        self.ships()  # what could not ship is refused now

    def forward(self, batch: Batch) -> Losses:
        lesson = disturb_teachers(self._lesson(batch), batch, self._seed, self._augment)
        terms = {"task": task_loss(lesson.learners, batch, self.class_weights, self._all_known)}
        for term in self._terms:
            terms[term.name] = self._score(term, lesson, batch)
        weights = self.weights(batch.epoch)  # of the step, not of the epoch: it is fractional
        total = torch.stack([weights[name] * loss for name, loss in terms.items()]).sum()
        answers = lesson.learners[0].outputs.logits.argmax(1)
        return Losses(total, terms, weights, (answers == batch.labels).sum())

    def weights(self, epoch: float) -> dict[str, float]:
        """Each term's weight after so many epochs."""
        moving = {term.name: term.weight(epoch) for term in self._terms}
        return {"task": self._task_weight(epoch)} | moving

    @property
    def learning(self) -> nn.ModuleDict:
        """What learns and may be kept: learners and parts; no model needs a method's adapters."""
        return nn.ModuleDict({"learners": self.learners, "parts": self.parts})

    def ships(self, learning: nn.ModuleDict | None = None) -> dict[str, nn.Module]:
        """What model.pt may hold; of a copy of `learning`, where one is given."""
        return self.scheme.ships(*self._of(learning))

    def beside(self, learning: nn.ModuleDict | None = None) -> dict[str, nn.Module]:
        """What is kept next to it; of a copy of `learning`, where one is given."""
        return self.scheme.beside(*self._of(learning))

    def no_weight_decay(self) -> set[str]:
        """Parameters that the learners' own models exempt from weight decay (timm's convention)."""
        return self._of_taps(Tap.exempt)

    def trunk(self) -> set[str]:
        """Parameters of the learners' models in front of their classifiers, for train.trunk_lr."""
        return self._of_taps(Tap.trunk)

    def _of_taps(self, names: Callable[[Tap], set[str]]) -> set[str]:
        return {
            f"learners.{_key(name)}.module.{key}"
            for name, tap in self._learners().items()
            if isinstance(tap, Tap)
            for key in names(tap)
        }

    def _lesson(self, batch: Batch) -> Lesson:
        outputs = self.scheme.step(self._models(), dict(self.parts.items()), batch)
        lesson = self.scheme.lesson(outputs)
        return replace(lesson, pairs=tuple(_one_way(self._aligned(p)) for p in lesson.pairs))

    def _aligned(self, pair: Pair) -> Pair:
        found = self._correspondence(pair)
        return found.align(pair) if found else pair

    def _correspondence(self, pair: Pair) -> Correspondence | None:
        """Of the two models; views of one (`student@flip`) have the same stages."""
        if pair.teacher is None:
            return None
        names = pair.student.by.split("@")[0], pair.teacher.by.split("@")[0]
        return self._correspondences.get(names)

    def _adapters(self, lesson: Lesson, about: About) -> dict[str, nn.Module]:
        """What the methods learn for each pair that they score."""
        built: dict[str, nn.Module] = {}
        for term in self._terms:
            for i, pair in enumerate(lesson.pairs):
                if missing(term.method, pair):
                    continue
                found = self._correspondence(pair)
                adapter = adapter_for(term, pair, found.tell(about) if found else about)
                if adapter is not None:
                    built[f"{term.name}:{i}"] = adapter  # pairs keep their number in a run
        return built

    def _of(
        self, learning: nn.ModuleDict | None
    ) -> tuple[dict[str, nn.Module], dict[str, nn.Module]]:
        """Learners and parts, by the names that schemes know: a copy has `_key`s in their place."""
        learners, parts = (learning or self.learning).values()
        assert isinstance(learners, nn.ModuleDict)
        assert isinstance(parts, nn.ModuleDict)
        return {name: learners[_key(name)] for name in self._names}, dict(parts.items())

    def _models(self) -> dict[str, Teacher]:  # learners first: schemes step in this order
        return {**self._learners(), **self.teachers}

    def _learners(self) -> dict[str, nn.Module]:
        return {name: self.learners[_key(name)] for name in self._names}

    def _score(self, term: Term, lesson: Lesson, batch: Batch) -> Tensor:
        """The method's loss over all pairs that supply what it needs; they weigh what all would."""
        scored = [(i, p) for i, p in enumerate(lesson.pairs) if not missing(term.method, p)]
        losses = [
            pair.weight * term.method.loss(*_seen(term.method, pair, batch), self._adapter(term, i))
            for i, pair in scored
        ]
        loss = torch.stack(losses).sum()
        if len(scored) == len(lesson.pairs):
            return loss
        return loss * sum(p.weight for p in lesson.pairs) / sum(p.weight for _, p in scored)

    def _adapter(self, term: Term, pair: int) -> nn.Module | None:
        key = f"{term.name}:{pair}"
        return self.adapters[key] if key in self.adapters else None  # noqa: SIM401 (no .get)


@contextmanager
def _probing(distiller: nn.Module) -> Iterator[None]:
    """Eval mode and no gradients: what is asked inside moves no buffer and teaches nobody, not even
    a teacher that takes a step of its own whenever gradients are recorded."""
    distiller.eval()
    with torch.no_grad():
        yield
    distiller.train()


def _key(name: str) -> str:
    """A ModuleDict takes no dots, and peers are called `peer.1`."""
    return name.replace(".", ":")


def _one_way(pair: Pair) -> Pair:
    """The pair with its teacher's side cut off: whoever teaches is not taught by this pair."""
    return replace(pair, teacher=_detached(pair.teacher)) if pair.teacher else pair


def _sides(pair: Pair) -> tuple[Outputs, Outputs]:
    """Student and teacher as a method sees them: where nobody teaches, the student's own answer
    stands in, cut off. Only methods without `needs_teacher` get that far, which do not read it."""
    return pair.student, pair.teacher or _detached(pair.student)


def _seen(method: Method, pair: Pair, batch: Batch) -> tuple[Outputs, Outputs, Batch]:
    """What a method scores: this process's images, or those of all."""
    student, teacher = _sides(pair)
    if not method.across_images:
        return student, teacher, batch
    mine = whole_outputs(student, method.needs | method.student_needs)
    return mine, whole_outputs(teacher, method.needs), whole_batch(batch)


def _detached(outputs: Outputs) -> Outputs:  # a field of tensors that comes later belongs here
    return replace(
        outputs,
        logits=outputs.logits.detach(),
        stages=tuple(s.detach() for s in outputs.stages),
        embedding=None if outputs.embedding is None else outputs.embedding.detach(),
        features=tuple(f.detach() for f in outputs.features),
        preactivations=tuple(f.detach() for f in outputs.preactivations),
        heads=None if outputs.heads is None else outputs.heads.detach(),
        attention=tuple(a.detach() for a in outputs.attention),
    )


def adapter_for(term: Term, pair: Pair, about: About) -> nn.Module | None:
    """What the method learns for a pair that supplies all it needs.

    Raises:
        UnmetNeeds: its loss is undefined for this pair; says why.
    """
    try:
        sides = _sides(pair)
        term.method.check(*sides, about)
        return term.method.adapter(*sides, about)
    except UnmetNeeds as error:
        raise UnmetNeeds(f"methods.{term.name}: {error.what}", error.fix) from error
