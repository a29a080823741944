"""What `kd export` can write: every format that the flag takes, and `--again` clears each."""

from typing import get_args

import pytest

from kdcli.deploy.formats import FORMATS
from kdcli.report.choices import Format
from kdcli.runs.layout import OF_EXPORTS


def test_every_format_has_somebody_who_writes_it() -> None:
    assert set(FORMATS) == set(get_args(Format))


@pytest.mark.parametrize("ending", [one.ending for one in FORMATS.values() if one.ending])
def test_a_training_anew_clears_its_file(ending: str) -> None:
    assert OF_EXPORTS.fullmatch(f"model{ending}")
    assert OF_EXPORTS.fullmatch(f"model.exit_1{ending}")
