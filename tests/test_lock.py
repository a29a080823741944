"""requirements.lock: what CI and releases install, file by file; it agrees with pyproject.toml."""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ENTRIES = [
    entry
    for entry in (ROOT / "requirements.lock").read_text().replace("\\\n", "").splitlines()
    if entry and not entry.startswith("#")
]
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")
AGAIN = "make lock"


def _pins() -> dict[str, list[Requirement]]:
    """What is named, by name; a package may have a version for each range of Pythons."""
    found: dict[str, list[Requirement]] = {}
    for entry in ENTRIES:
        one = Requirement(entry.partition("--hash")[0].strip())
        found.setdefault(canonicalize_name(one.name), []).append(one)
    return found


PINS = _pins()


def _asked(extra: str = "test") -> Iterator[Requirement]:
    """By pyproject.toml, the extras that an extra names among them."""
    for text in [*PROJECT["dependencies"], *PROJECT["optional-dependencies"][extra]]:
        one = Requirement(text)
        if one.name == PROJECT["name"]:
            for other in one.extras:
                yield from _asked(other)
        else:
            yield one


def _version(pin: Requirement) -> str:
    (only,) = pin.specifier
    assert only.operator == "=="
    return only.version


def _lacks(asked: Requirement) -> str:
    """Why the lock does not hold what is asked for; empty where it does."""
    pins = PINS.get(canonicalize_name(asked.name), [])
    if not pins:
        return f"{asked}: not in requirements.lock; {AGAIN}"
    bad = [pin for pin in pins if not asked.specifier.contains(_version(pin), prereleases=True)]
    return f"{asked}: requirements.lock has {', '.join(map(str, bad))}; {AGAIN}" if bad else ""


def test_all_that_the_project_asks_for_is_locked() -> None:
    assert not [why for one in _asked() if (why := _lacks(one))]


def test_every_file_is_known_by_its_hash() -> None:
    assert len(ENTRIES) > 50
    assert not [entry for entry in ENTRIES if not HASH.search(entry)]
    assert all(_version(pin) for pins in PINS.values() for pin in pins)


def test_what_is_locked_needs_nothing_else_here() -> None:
    """Of packages that are installed in the locked version, as far as this system asks."""
    lacking = []
    for name, (pin, *_) in PINS.items():
        try:
            there = distribution(name)
        except PackageNotFoundError:
            continue
        if there.version == _version(pin):
            asked = map(Requirement, there.requires or ())
            here = [one for one in asked if not one.marker or one.marker.evaluate({"extra": ""})]
            lacking += [f"{name} needs {why}" for one in here if (why := _lacks(one))]
    assert not lacking


@pytest.mark.parametrize("variable", ["https_proxy"])
def test_an_audit_that_cannot_ask_says_so(variable: str) -> None:
    env = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "audit.py"), "requirements.lock"],
        env=env | {variable: "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "SKIPPED" in done.stdout
