"""--slurm: options of sbatch, and what is no option."""

import pytest

from kdcli.core.errors import UsageError
from kdcli.jobs.slurm_options import flags, minutes, read_options


def test_options_are_read_by_their_names() -> None:
    found = read_options(["partition=gpu,time=1-12,gres=gpu:1,nvme:2,cpus_per_task=8", "exclusive"])
    assert found == {
        "job-name": "kd",
        "partition": "gpu",
        "time": "1-12",
        "gres": "gpu:1,nvme:2",
        "cpus-per-task": "8",
        "exclusive": "",
    }
    assert flags(found)[-2:] == ["--cpus-per-task=8", "--exclusive"]
    assert read_options([])["time"] == "4:00:00"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("partitoin=gpu", "no option 'partitoin' of sbatch; did you mean 'partition'?"),
        ("gpu=1", "did you mean 'gpus'?"),
        ("array=0-3", "'array' is set by kd"),
        ("nodes=2", "one process on one node"),
        ("partition", "'partition' lacks its value"),
        ("time=4h", "no time that Slurm knows"),
        ("time=0", "no time that Slurm knows"),
        ("", "no option '' of sbatch"),
    ],
)
def test_what_is_none_is_refused(text: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_options([text])
    assert words in caught.value.what


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ("30", 30),
        ("30:30", 31),
        ("4:00:00", 240),
        ("1-12", 2160),
        ("1-12:30", 2190),
        ("0-0:0:1", 1),
    ],
)
def test_a_time_is_as_slurm_has_it(time: str, expected: int) -> None:
    assert minutes(time) == expected
