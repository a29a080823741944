"""No teacher: networks that learn together, each from all others."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field
from torch import nn

from kdcli.core.records import Learner, Lesson, Outputs, Pair
from kdcli.core.scheme import Scheme
from kdcli.schemes._shared import of_architecture, peers_of


class Mutual(Scheme):
    """Networks that learn together, each from the labels and from its peers (arXiv:1706.00384).

    Deep Mutual Learning (Zhang et al. 2017): network i of M minimises CE_i + 1/(M-1) times the sum
    of KL(p_l || p_i) over the others. All step together from one forward pass each, peers detached;
    the paper updates them one after another, with a new pass in between. What ships is the network
    that is best on validation, of those built like the student; the others are kept beside it.
    """

    needs_teacher: ClassVar[bool] = False
    teaches_itself: ClassVar[bool] = True
    has_peers: ClassVar[bool] = True
    peers: Annotated[int, Field(ge=2)] = 2
    """Networks in all, the student among them. Those that --peer does not name are copies of the
    student: they begin with other random weights, or with its own where those are pretrained or
    given, all but a classifier that is made anew."""

    def lesson(self, outputs: Mapping[str, Outputs]) -> Lesson:
        everyone = peers_of(outputs)
        share = 1 / (len(everyone) - 1)  # the paper's mean over peers; the authors' code sums
        pairs = [Pair(one, other, share) for one in everyone for other in everyone if one != other]
        return Lesson(tuple(Learner(one) for one in everyone), tuple(pairs))

    def ships(
        self, models: Mapping[str, nn.Module], parts: Mapping[str, nn.Module]
    ) -> dict[str, nn.Module]:
        return of_architecture(models)

    def beside(
        self, models: Mapping[str, nn.Module], parts: Mapping[str, nn.Module]
    ) -> dict[str, nn.Module]:
        return dict(models)
