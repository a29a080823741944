"""What lies where in a run's folder.

RUN/ run.yaml         who, resolved recipe, versions   needs.json   what it depends on, by sha256
     model.pt         what ships; its being there      state.pt     resume state, and the one before
                      means finished                   state.former.pt; both removed when done
     metrics.jsonl    one line per epoch and an end    split.json   a split that was made here
     predictions.npz  answers on test                  report.json  report.md  report.html
     run.log          what was said, what went wrong
     not_finite.pt    the batch and the weights of a step whose loss was no number
     model.NAME.pt    who learnt with the model that ships: a peer, an exit, ...
     export/          what is copied to where the model is used: model.onnx, labels.txt,
                      predict.py, bench.py, README.md; model.pt2
     timm/            what timm loads and the Hub takes; timm.NAME/ of a model beside model.pt
     step.N.safetensors  the weights after N steps, of a teacher whose trajectory is followed
     .lock, .holder   while kd works in it (core/host_lock.py)
"""

import re
from pathlib import Path
from typing import Literal

from kdcli.core.json_text import from_json

# Pruning, `--again` and clearing up remove by these names and by nothing else: a name that kd does
# not know is a person's own file, and stays.
NOT_FINITE = "not_finite.pt"
"""The batch and the weights of a step whose loss was no number."""
STATES = ("state.pt", "state.former.pt")
"""What a training goes on from, the newest first."""

FILES = (
    *("run.yaml", "needs.json", "model.pt", *STATES, "metrics.jsonl"),
    *("run.log", "split.json", "predictions.npz", "report.json", "report.md", "report.html"),
    NOT_FINITE,
    "transfer.npz",  # of an older kd: what teachers answered
)
"""All that kd writes into a run's folder, but for what `OF_OTHERS` names."""

EXPORTS = "export"
"""The folder of what is copied to where the model is used."""

Format = Literal["onnx", "timm", "torch"]
"""What a student leaves as; `deploy/formats.py` says who writes each."""

ENDINGS: dict[Format, str] = {"onnx": ".onnx", "torch": ".pt2"}
"""Of their files; timm's is a folder with a place of its own."""

OF_EXPORTS = re.compile(
    rf"model(\.\w+)*({'|'.join(map(re.escape, ENDINGS.values()))}|\.onnx\.data)"
    r"|labels\.txt|(predict|bench)\.py|README(\.\w+)*\.md"
)
"""What kd writes into `EXPORTS`, and clears when a run starts afresh."""

OF_OTHERS = re.compile(r"model\.(\w+)\.(pt|report\.json|report\.md)")
"""Of the models beside model.pt: `model.peer_1.pt`, and what was made of it. Underscores: a dot
would end the name (`peer.1` in metrics.jsonl)."""

OF_STEPS = re.compile(r"step\.(\d{7,})\.safetensors")
"""Of the weights after a step: `step.0000123.safetensors`; seven digits, so that a folder lists
them in order, and more where that many steps are not enough."""


TRIED = "tried.pt"
"""What a plan writes to see how fast a disk is; gone when it has."""

OF_TRIALS = re.compile(r"tmp[a-z0-9_]{8}")
"""The folders in which kds of before did so, and left it when they were killed."""

MANIFEST, STANDING = "manifest.json", "standing.json"
"""What a store of teachers' answers holds beside them (training/answers/store.py)."""

OF_ANSWERS = re.compile(rf"{MANIFEST}|{STANDING}|\d{{4,}}\.\d{{5,}}\.safetensors")
"""All that kd writes there."""


def shard_name(view: int, shard: int) -> str:
    """The file of some images' answers: `0003.00012.safetensors`."""
    return f"{view:04}.{shard:05}.safetensors"


def is_ours(name: str) -> bool:
    """Whether kd writes a file of this name into a run's folder."""
    return name in FILES or any(kind.fullmatch(name) for kind in (OF_OTHERS, OF_STEPS))


def is_of_answers(name: str) -> bool:
    """Whether kd writes a file of this name into a store of answers."""
    return OF_ANSWERS.fullmatch(name) is not None


def is_model(name: str) -> bool:
    """Whether a run keeps one of its models under this name: what ships, or another."""
    other = OF_OTHERS.fullmatch(name)
    return name == "model.pt" or (other is not None and other[2] == "pt")


TIMM = "timm"
"""In a run's folder; `timm.peer_1` of another model than the one that ships."""


OF_TIMM = ("config.json", "model.safetensors", "README.md")
"""All that kd writes there."""


def is_kds(folder: Path) -> bool:
    """Whether kd wrote it: its config.json says so. Other tools write folders of the same files
    (`timm.models.push_to_hf_hub`), and those are not kd's to replace."""
    try:
        return "kd" in from_json((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError, TypeError):
        return False
