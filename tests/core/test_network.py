"""Who answers: somebody, even to refuse; nobody; and nobody is asked who must not be."""

import pytest

from kdcli.core.network import answers


def test_nobody_listens_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    assert not answers("http://127.0.0.1:9")
    assert not answers("no address at all")


@pytest.mark.parametrize("said", ["1", "true", "YES", "on"])
def test_offline_means_not_even_asking(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", said)
    monkeypatch.setattr("kdcli.core.network._asked", lambda address: pytest.fail("asked"))
    assert not answers("http://127.0.0.1:9")
