"""How much room there is, and how much is needed, in words."""

import errno
import os

import pytest

from kdcli.core.disk_space import needing, refuse_full
from kdcli.core.errors import DiskError
from kdcli.core.files import atomic


def test_a_place_with_too_little_room_is_refused_with_both_numbers(tmp_path):
    assert refuse_full(tmp_path / "not" / "there", 0) > 0
    with pytest.raises(DiskError, match=r"GB will be needed, .* are free") as caught:
        refuse_full(tmp_path, 10**18, "elsewhere")
    assert caught.value.fix == "elsewhere"


@pytest.mark.parametrize(("number", "told"), [(errno.ENOSPC, True), (errno.EACCES, False)])
def test_a_full_disk_says_what_was_to_be_written(number, told, tmp_path):
    with pytest.raises(DiskError) as caught, needing(12_300_000), atomic(tmp_path / "file"):
        raise OSError(number, os.strerror(number))
    assert ("; it takes 12.3 MB" in caught.value.what) == told
    assert caught.value.fix
