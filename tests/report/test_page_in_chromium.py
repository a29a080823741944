"""report.html of a real run in headless Chromium: nothing to complain of, nothing asked for."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from house import House, kd_ok

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ITS_OWN = re.compile(r"://([\w.-]+\.)?(googleapis|google|gvt1)\.com[/:]")
"""Where Chromium itself looks for news; nobody answers."""

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no chromium here: make browser")


def _seen(page: Path, folder: Path) -> tuple[str, list[str], list[str]]:
    """The page's DOM, what its console says, and which addresses were asked for."""
    net = folder / "net.json"
    command = [
        *(str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"),
        *("--enable-logging=stderr", "--v=0", "--virtual-time-budget=5000"),
        *("--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND"),
        *(f"--user-data-dir={folder / 'profile'}", f"--log-net-log={net}", page.as_uri()),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    said = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    asked = re.findall(r'"url":"(\w+://[^"]*)"', net.read_text("utf-8", "replace"))
    return done.stdout, said, [url for url in asked if not ITS_OWN.search(url)]


def test_it_is_quiet_and_asks_for_nothing(finished_once: House, tmp_path: Path) -> None:
    dom, said, asked = _seen(finished_once.student / "report.html", tmp_path)
    assert (said, asked) == ([], [])
    assert dom.count("<svg") > 5
    assert dom.count("<img") > 20


def test_that_of_several_is_too(finished_once: House, tmp_path: Path) -> None:
    file, out = finished_once.student / "export" / "model.onnx", tmp_path / "several.html"
    kd_ok("report", finished_once.student, file, "--out", out)
    dom, said, asked = _seen(out, tmp_path)
    assert (said, asked) == ([], [])
    assert dom.count("<svg") > 2


def test_a_page_that_does_would_be_seen(tmp_path: Path) -> None:
    bad = tmp_path / "bad.html"
    bad.write_text('<!doctype html><img src="http://x.test/a.png"><script>gone()</script>')
    _, said, asked = _seen(bad, tmp_path)
    assert "gone is not defined" in "".join(said)
    assert set(asked) == {"http://x.test/a.png"}
