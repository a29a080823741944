"""What one training takes, in numbers and words."""

from collections import Counter
from dataclasses import dataclass

from kdcli.core.text import counted, duration, size_in_words


@dataclass(frozen=True)
class Estimate:
    """One training: what it takes from here to its end."""

    role: str
    model: str
    epochs: int
    """Still to do, at most: patience may end it sooner."""
    seconds: float
    model_bytes: int
    state_bytes: int
    """Of the resume state, there while it trains."""
    memory_bytes: int
    """Of the process, and of the GPU where there is one."""
    photograph_bytes: int = 0
    """Of decoded photographs in the cache."""
    asking_seconds: float = 0.0
    """In which teachers are asked once, for all trainings like this one."""
    answers_bytes: int = 0
    """Of what they answer, kept for whoever asks next."""
    answers: str = ""
    """How teachers are asked, in words; empty where nobody is."""
    checkpoints: int = 0
    """Of a trajectory, kept with the run."""
    checkpoint_bytes: int = 0
    """Of all of them."""
    beside: tuple[str, ...] = ()
    """Models that learn in the same loop."""
    threads: int | None = None
    """With which it trains fastest; None: they are no matter here."""
    compiled: bool = False
    """Once at the beginning, which is in `seconds`."""
    times: int = 1
    """So many trainings like this one, which differ in their seeds; each takes all that."""

    @property
    def kept_bytes(self) -> int:
        """On the disk, when it is finished; its own."""
        return self.model_bytes + self.checkpoint_bytes

    @property
    def all_seconds(self) -> float:
        """Of all trainings like this one."""
        return self.times * self.seconds + self.asking_seconds

    @property
    def all_bytes(self) -> int:
        """That stay on the disk of all trainings like this one."""
        return self.times * self.kept_bytes + self.answers_bytes

    @property
    def words_on_threads(self) -> str:
        """`teacher resnet18 2`."""
        return f"{self.role} {self.model} {self.threads}"

    @property
    def words(self) -> str:
        """`3 x teacher resnet18 7 epochs ~ 40 s each`."""
        many = self.times > 1
        others = [f"{n} x {one}" if n > 1 else one for one, n in Counter(self.beside).items()]
        models = " with ".join([self.model, *([" and ".join(others)] if others else [])])
        asking = f" and {duration(self.asking_seconds)} of asking" if self.asking_seconds else ""
        kept = f"{self.checkpoints:,} checkpoints of {size_in_words(self.checkpoint_bytes)}"
        return (
            f"{f'{self.times} x ' if many else ''}{self.role} {models} "
            f"{counted(self.epochs, 'epoch')}{f' with {kept}' if self.checkpoints else ''} "
            f"{'compiled ' * self.compiled}~ {duration(self.seconds)}"
            f"{' each' if many else ''}{asking}"
        )
