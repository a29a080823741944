"""What a report tells of the licences of all that a model was made from."""

from pydantic import BaseModel

from kdcli.commands.model_part import PART


class LicencePart(BaseModel):
    """One ingredient."""

    model_config = PART
    role: str
    """`teacher`, `assistant`, `generation`, `student`, `peer`, `data`."""
    what: str
    """timm's name with the tag of its weights, a file's or a data set's name; never a path."""
    licence: str | None
    """null: nobody states one, or there is nothing to license."""
    permissive: int
    """1: whoever ships the model has to name a maker at most."""
    note: str


class LicencesPart(BaseModel):
    """All ingredients of one model."""

    model_config = PART
    all_permissive: int
    """1: each of them is."""
    entries: list[LicencePart]
