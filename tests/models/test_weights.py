"""Pretrained weights: from the cache, or from a hub that answers, or refused within seconds."""

import socket
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import timm
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

from kdcli.core import network
from kdcli.core.errors import DamagedFile, DataError, UsageError, WeightsUnavailable
from kdcli.models.build import build, plan, seeded
from kdcli.models.model_args import ModelArgs
from kdcli.models.weights import ensure_reachable, fetch, has_weights, is_cached, ways_out

COMMIT = "0" * 40


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache of the hub, and of torch.hub; nothing outside is reached."""
    folder = tmp_path / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    for proxy in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy"):
        monkeypatch.delenv(proxy, raising=False)
    point_to(monkeypatch, "http://127.0.0.1:9")  # nobody listens there
    return folder


def point_to(monkeypatch, address):
    monkeypatch.setattr(constants, "ENDPOINT", address)
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


@contextmanager
def a_hub(status):
    """A server that answers everything so."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_response(status)
            self.end_headers()

        do_GET = do_HEAD  # noqa: N815

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def a_hole():
    """A port that takes connections and never says a word; it is waited for half a second."""
    with pytest.MonkeyPatch.context() as patch, socket.create_server(("127.0.0.1", 0)) as server:
        patch.setattr(network, "PROBE_SECONDS", 0.5)
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def put(cache, name, content=None):
    """timm's weights of `name` as the hub's cache holds them; random ones."""
    model = timm.create_model(name)
    repository = timm.get_pretrained_cfg(name).hf_hub_id.replace("/", "--")
    folder = cache / f"models--{repository}"
    place = folder / "snapshots" / COMMIT / "model.safetensors"
    place.parent.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(COMMIT)
    if content is None:
        save_file({k: v.contiguous() for k, v in model.state_dict().items()}, place)
    else:
        place.write_bytes(content)
    return model


def refusal(name="test_resnet"):
    began = time.monotonic()
    with pytest.raises(WeightsUnavailable) as caught:
        ensure_reachable(name)
    assert time.monotonic() - began < 6
    assert caught.value.code == 3
    return caught.value


def test_which_models_have_weights():
    assert has_weights("test_resnet")
    assert has_weights("resnet18.a1_in1k")
    assert not has_weights("resnet10t_does_not_exist")


def test_a_model_that_timm_has_no_weights_for():
    (name, *_) = (n for n in timm.list_models("vit_*") if not has_weights(n))
    error = refusal(name)
    assert error.what == f"timm has no pretrained weights for {name}"
    assert "student.pretrained=false" in error.fix


def test_weights_in_the_cache_are_within_reach_offline(cache, monkeypatch):
    put(cache, "test_resnet")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert is_cached("test_resnet")
    assert not is_cached("test_efficientnet")
    ensure_reachable("test_resnet")


def test_unreachable_weights_are_refused_within_seconds(cache):
    error = refusal()
    assert f"not in the cache ({cache})" in error.what
    assert "http://127.0.0.1:9 does not answer" in error.what
    for way in ("--teacher NAME=FILE", "--student NAME=FILE"):
        assert way in error.fix
    for role in ("teacher", "student"):
        assert f"--set {role}.pretrained=false" in error.fix
    assert error.fix.endswith(ways_out())


def test_a_hub_that_never_answers_is_refused_within_seconds(monkeypatch):
    with a_hole() as address:
        point_to(monkeypatch, address)
        assert "does not answer" in refusal().what


@pytest.mark.parametrize("status", [200, 404])
def test_a_hub_that_answers_is_within_reach(monkeypatch, status):
    with a_hub(status) as address:
        point_to(monkeypatch, address)
        ensure_reachable("test_resnet")


def test_hf_hub_offline_asks_nobody(monkeypatch):
    with a_hub(200) as address:
        point_to(monkeypatch, address)
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        refusal()
        monkeypatch.setenv("HF_HUB_OFFLINE", "0")
        ensure_reachable("test_resnet")


def test_the_loaded_weights_are_those_of_the_cache_with_a_fresh_classifier(cache):
    source = put(cache, "test_resnet").state_dict()
    with seeded(0, "student"):
        found = build(ModelArgs("test_resnet", 7, 32), pretrained=True)
    classifier = "fc." if "fc.weight" in source else "head."
    state = found.state_dict()
    assert list(state) == list(source)
    body = [key for key in source if not key.startswith(classifier)]
    assert len(body) > 20
    assert all(torch.equal(state[key], source[key]) for key in body)
    assert found.get_classifier().weight.shape[0] == 7
    with seeded(0, "student"):
        again = build(ModelArgs("test_resnet", 7, 32), pretrained=True)
    assert torch.equal(again.get_classifier().weight, found.get_classifier().weight)


def test_weights_survive_another_image_size(cache):
    source = put(cache, "test_vit").state_dict()
    found = build(plan("test_vit", 7, 32, None), pretrained=True)
    key = "blocks.0.attn.qkv.weight"
    assert torch.equal(found.state_dict()[key], source[key])
    assert found(torch.zeros(1, 3, 32, 32)).shape == (1, 7)


def test_weights_survive_another_stem(cache):
    source = put(cache, "test_resnet").state_dict()
    found = build(ModelArgs("test_resnet", 7, 32, stem_stride=1), pretrained=True)
    assert torch.equal(found.state_dict()["layer1.0.conv1.weight"], source["layer1.0.conv1.weight"])


def test_cached_weights_load_at_once_while_the_hub_is_silent(cache, monkeypatch):
    put(cache, "test_resnet")
    with a_hole() as address:
        point_to(monkeypatch, address)
        began = time.monotonic()
        ensure_reachable("test_resnet")
        build(ModelArgs("test_resnet", 7, 32), pretrained=True)
        assert time.monotonic() - began < 3, "the hub was asked after all"


@pytest.mark.parametrize("status", [403, 404])
def test_weights_that_cannot_be_had_are_never_replaced_by_random_ones(monkeypatch, status):
    with a_hub(status) as address:
        point_to(monkeypatch, address)
        with pytest.raises(Exception):  # noqa: B017, PT011  (whatever it is: no module comes back)
            build(ModelArgs("test_resnet", 7, 32), pretrained=True)


def test_a_hub_that_refuses_is_told_in_words(monkeypatch):
    with a_hub(403) as address:
        point_to(monkeypatch, address)
        with pytest.raises(WeightsUnavailable):
            build(ModelArgs("test_resnet", 7, 32), pretrained=True)


def test_damaged_weights_in_the_cache_are_told_in_words(cache):
    put(cache, "test_resnet", content=b"half a file")
    with pytest.raises((DamagedFile, DataError)):
        build(ModelArgs("test_resnet", 7, 32), pretrained=True)


# A repository of somebody else's -----------------------------------------------------------------


def put_repository(cache, name, files, commit=COMMIT, reference="main"):
    """A repository as the hub's cache holds it."""
    folder = cache / f"models--{name.replace('/', '--')}"
    place = folder / "snapshots" / commit
    place.mkdir(parents=True)
    (folder / "refs").mkdir(exist_ok=True)
    (folder / "refs" / reference).write_text(commit)
    for file in files:
        (place / file).write_bytes(b"x")
    return place


@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_a_repository_that_was_fetched_is_taken_as_it_is(cache, file):
    place = put_repository(cache, "somebody/net", ["config.json", file])
    assert fetch("somebody/net") == place


def test_a_revision_is_another_folder(cache):
    put_repository(cache, "somebody/net", ["config.json", "model.safetensors"])
    other = put_repository(
        cache, "somebody/net", ["config.json", "model.safetensors"], "1" * 40, "v2"
    )
    assert fetch("somebody/net@v2") == other


def unfetched(name="somebody/net"):
    began = time.monotonic()
    with pytest.raises(WeightsUnavailable) as caught:
        fetch(name)
    assert time.monotonic() - began < 6
    assert "local-dir:FOLDER" in caught.value.fix
    return caught.value.what


@pytest.mark.parametrize("files", [[], ["config.json"], ["model.safetensors"]])
def test_a_repository_out_of_reach_is_refused_within_seconds(cache, files):
    put_repository(cache, "somebody/net", files)
    words = unfetched()
    assert words.startswith(f"hf-hub:somebody/net: not in the cache ({cache})")
    assert "http://127.0.0.1:9 does not answer" in words


def test_a_silent_hub_is_waited_for_seconds_only(monkeypatch):
    with a_hole() as address:
        point_to(monkeypatch, address)
        assert "does not answer" in unfetched()


@pytest.mark.filterwarnings("ignore")
def test_a_repository_that_is_not_there(monkeypatch):
    with a_hub(404) as address:
        point_to(monkeypatch, address)
        assert "hf-hub:somebody/nothing: cannot be fetched (" in unfetched("somebody/nothing")


@pytest.mark.parametrize("name", ["a/b/c/d", "-", "a b"])
def test_what_no_repository_can_be_called(name):
    with pytest.raises(UsageError, match="hf-hub:ORGANISATION/NAME"):
        fetch(name)
