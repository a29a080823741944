"""A progress that keeps what is said."""

from kdcli.core.progress import Silent


class Words(Silent):
    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []

    def say(self, text: str) -> None:
        self.words.append(text)

    warn = say
