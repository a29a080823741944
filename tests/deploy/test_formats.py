"""What `kd export` can write: every format that the flag takes, and `--again` clears each."""

from typing import get_args

import pytest

from kdcli.deploy.formats import FORMATS
from kdcli.runs.layout import ENDINGS, OF_EXPORTS, Format


def test_every_format_has_somebody_who_writes_it() -> None:
    assert set(FORMATS) == set(get_args(Format)) >= set(ENDINGS)


@pytest.mark.parametrize("name", ["model.onnx", "model.exit_1.pt2", "model.onnx.data"])
def test_a_training_anew_clears_its_files(name: str) -> None:
    assert OF_EXPORTS.fullmatch(name)
    assert not OF_EXPORTS.fullmatch(f"{name}.mine")
