"""The exported file in a browser: onnxruntime-web in headless Chromium, on a real test image."""

import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from html import unescape
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import pytest
from house import House, kd_ok
from numpy.typing import NDArray
from PIL import Image

from kdcli.core.progress import Silent
from kdcli.data.open import open_source
from kdcli.data.store import open_store
from kdcli.deploy.onnx_file.feeding import feeding_of
from kdcli.deploy.onnx_file.session import open_session

HERE = Path(__file__).parents[1] / "browser"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
LACKING = [
    *([] if CHROMIUM else ["chromium"]),
    *([] if (HERE / "node_modules" / "onnxruntime-web").is_dir() else ["onnxruntime-web"]),
]

pytestmark = pytest.mark.skipif(
    bool(LACKING), reason=f"no {' and no '.join(LACKING)} here: make browser"
)


class Handler(SimpleHTTPRequestHandler):
    """One folder; quiet, and with the types that browsers insist on."""

    extensions_map = {  # noqa: RUF012  # as its parent has it
        **SimpleHTTPRequestHandler.extensions_map,
        **{".mjs": "text/javascript", ".wasm": "application/wasm"},
    }

    def log_message(self, *words: object) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The folder's address while it is served."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(params=["tensor", "pixels"])  # what `kd export --input` takes
def folder(request: pytest.FixtureRequest, finished_once: House, tmp_path: Path) -> Path:
    """The page, the export folder's files and one test image."""
    for name in ("model.onnx", "labels.txt"):
        shutil.copy(finished_once.student / "export" / name, tmp_path)
    if request.param != "tensor":
        lone = Path(shutil.copy(finished_once.student / "model.pt", tmp_path / "lone.pt"))
        kd_ok("export", lone, "--input", request.param, "--out", tmp_path / "model.onnx")
    shutil.copy(HERE / "predict.html", tmp_path)
    (tmp_path / "node_modules").symlink_to(HERE / "node_modules")
    store = open_store(open_source("digits").test, 32, Silent())
    pixels = store.fetch(np.array([7]))[0].permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(tmp_path / "digit.png")
    return tmp_path


def shown_in_chromium(address: str, profile: Path) -> str:
    """The page's DOM once its work is done."""
    line = [
        *(str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"),
        *(f"--user-data-dir={profile}", "--virtual-time-budget=60000", address),
    ]
    return subprocess.run(line, capture_output=True, text=True, check=True, timeout=300).stdout


def in_python(model: Path, image: Path) -> NDArray[np.float32]:
    feeding = feeding_of(model)
    pixels = np.asarray(Image.open(image))
    return feeding.answered(open_session(model)(feeding.ready([pixels])))[0]


def test_the_page_answers_as_python_does(folder: Path) -> None:
    feeding = feeding_of(folder / "model.onnx")
    query = {"image": "digit.png", "crop_pct": feeding.crop_pct}
    query |= {"mean": list(feeding.mean), "std": list(feeding.std)}
    with served(folder) as address:
        page = shown_in_chromium(f"{address}/predict.html?{urlencode(query)}", folder / "profile")
    answer = re.search(r'<pre id="answer" data-probabilities="([^"]*)">([^<]*)<', page)
    assert answer, page
    expected = in_python(folder / "model.onnx", folder / "digit.png")
    np.testing.assert_allclose(json.loads(unescape(answer[1])), expected, atol=1e-4)
    name, probability = answer[2].split()
    assert name == feeding.classes[expected.argmax()]
    assert float(probability) == pytest.approx(expected.max(), abs=1e-3)
