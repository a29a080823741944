"""What all documents have."""

from typing import Literal

from pydantic import Field

from kdcli.report.model import Part


class ErrorPart(Part):
    """What went wrong, and the way out; `code` is the exit code."""

    code: int
    what: str
    fix: str


class Document(Part):
    """What all of them have."""

    schema_: Literal[1] = Field(alias="schema")
    error: ErrorPart | None = None
    """There is a result, and something was missed: a gate, an image."""


class Failed(Part):
    """Of any command that has no result."""

    schema_: Literal[1] = Field(alias="schema")
    error: ErrorPart
