"""Teachers' answers on disk, by whom, about what and how they were asked.

RUNS/answers/NAME/  manifest.json               the key in full, and how many images
                    standing.json               how the teacher did on validation
                    0003.00012.safetensors      shard 12 of view 3: ROWS images, in their order

A shard appears whole or not at all, and says whose it is and what its bytes sum up to: one that is
missing, damaged or another's is asked for again, it alone.
"""

import hashlib
import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from kdcli.core.errors import InUse
from kdcli.core.file_format import ANSWERS
from kdcli.core.files import atomic, write_text
from kdcli.core.json_text import from_json
from kdcli.core.lock import lock
from kdcli.core.progress import Progress
from kdcli.evaluation.kept_answers import Kept
from kdcli.runs.find import answers_root
from kdcli.runs.layout import MANIFEST, STANDING, shard_name
from kdcli.runs.names import folder_name, slug

ROWS = 4096
"""Images of a shard: the most that a kill loses; of 1,000 classes 16 MB."""
PATIENCE = 86400.0
"""Seconds for which another kd is waited for that asks the same teacher."""

_intact: dict[Path, tuple[int, int]] = {}
"""Shards whose sums were found right in this process, with the time and size that they had."""


@dataclass(frozen=True, eq=False)
class AnswerStore:
    """The answers of one teacher, or of several as one, to views of some images."""

    model: str
    key: Mapping[str, Any]
    """JSON: all that an answer depends on."""
    images: int

    @cached_property
    def digest(self) -> str:
        """Of the key."""
        return hashlib.sha256(_text(self.key).encode()).hexdigest()[:16]

    @property
    def name(self) -> str:
        """Of its folder."""
        return folder_name([slug(self.model), self.digest])

    @property
    def folder(self) -> Path:
        return answers_root() / self.name

    @property
    def shards(self) -> int:
        """Of a view."""
        return -(-self.images // ROWS)

    def rows(self, shard: int) -> tuple[int, int]:
        """The first image of a shard, and the one behind its last."""
        return shard * ROWS, min((shard + 1) * ROWS, self.images)

    def has(self, view: int) -> bool:
        """Whether every shard is there, of which nothing is read; raises DamagedFile for those of
        a newer kd."""
        self._refuse_other_formats()
        return all(self._path(view, shard).is_file() for shard in range(self.shards))

    def lacks(self, view: int, progress: Progress) -> list[int]:
        """Shards that are missing or damaged."""
        return [shard for shard in range(self.shards) if not self._is_whole(view, shard, progress)]

    def read(self, view: int) -> list[Kept]:
        """All shards, which lie on disk until they are looked at (memory maps); none may lack."""
        return [_tensors(self._path(view, shard))[0] for shard in range(self.shards)]

    def write(self, view: int, shard: int, kept: Kept) -> None:
        """Put a shard where it belongs.

        Raises:
            DiskError: full, read-only, or no permission.
        """
        kept = {name: tensor.cpu().contiguous() for name, tensor in kept.items()}
        with atomic(self._path(view, shard)) as new:
            save_file(kept, new, self._label(view, shard) | {"crc32": _sum(kept)})

    @contextmanager
    def asking(self, progress: Progress) -> Iterator[None]:
        """Nobody else asks meanwhile: another kd that does so is waited for.

        Raises:
            DiskError: no folder can be made there.
            InUse: it has not ended within a day.
            DamagedFile: a newer kd has stored them.
        """
        with ExitStack() as stack:
            try:
                stack.enter_context(lock(self.folder))
            except InUse:
                progress.say(f"{self.folder}: another kd is asking this teacher; waiting for it")
                stack.enter_context(lock(self.folder, PATIENCE))
            known = self._refuse_other_formats()
            manifest = {**ANSWERS.numbered, "key": self.key, "images": self.images}
            if known != json.loads(_text(manifest)):
                write_text(self.folder / MANIFEST, json.dumps(manifest, indent=1))
            yield

    def once(self, name: str, make: Callable[[], Tensor], progress: Progress) -> Tensor:
        """What one view holds under a name, (images, ...): made now where it lacks any of it."""
        with self.asking(progress):
            if self.lacks(0, progress):
                made = make()
                for shard in range(self.shards):
                    self.write(0, shard, {name: made[slice(*self.rows(shard))]})
        return torch.cat([kept[name] for kept in self.read(0)])

    def standing(self, validation: str) -> float | None:
        """Balanced accuracy on these validation images, by their fingerprint; None: not known."""
        found = self._json(STANDING)
        share = found.get("share") if found.get("validation") == validation else None
        return share if isinstance(share, float) else None

    def keep_standing(self, validation: str, share: float) -> None:
        """Remember it."""
        text = json.dumps({"validation": validation, "share": share})
        write_text(self.folder / STANDING, text)

    def _refuse_other_formats(self) -> dict[str, Any]:
        """What its manifest says; none yet, or a damaged one: nothing."""
        known = self._json(MANIFEST)
        number = known.get(ANSWERS.key)
        ANSWERS.refuse_others(self.folder / MANIFEST, number, f"remove {self.folder}")
        return known

    def _json(self, name: str) -> dict[str, Any]:
        with suppress(OSError, ValueError):
            found = from_json((self.folder / name).read_text("utf-8"))
            return found if isinstance(found, dict) else {}
        return {}

    def _path(self, view: int, shard: int) -> Path:
        return self.folder / shard_name(view, shard)

    def _label(self, view: int, shard: int) -> dict[str, str]:
        return {"key": self.digest, "place": shard_name(view, shard), "images": str(self.images)}

    def _is_whole(self, view: int, shard: int, progress: Progress) -> bool:
        path = self._path(view, shard)
        try:
            now = (path.stat().st_mtime_ns, path.stat().st_size)
            if _intact.get(path) == now:
                return True
            kept, label = _tensors(path)
        except FileNotFoundError:
            return False
        except (OSError, SafetensorError, ValueError):
            label = {}
        else:
            numbers = all(bool(one.isfinite().all()) for one in kept.values())
            if numbers and label == self._label(view, shard) | {"crc32": _sum(kept)}:
                _intact[path] = now
                return True
        what = "damaged" if label.get("key") in (None, self.digest) else "of another teacher"
        progress.warn(f"{path}: {what}; these images are asked about again")
        return False


def _tensors(path: Path) -> tuple[Kept, dict[str, str]]:
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118 (no mapping)


def _sum(kept: Kept) -> str:
    total = 0
    for name in sorted(kept):
        total = zlib.crc32(kept[name].numpy().data, zlib.crc32(name.encode(), total))
    return f"{total:08x}"


def _text(key: Mapping[str, Any]) -> str:
    return json.dumps(key, sort_keys=True, ensure_ascii=False)
