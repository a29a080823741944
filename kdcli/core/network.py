"""Whether somebody answers on the network, within seconds whatever the network does."""

import os
import urllib.error
import urllib.request
from threading import Thread

PROBE_SECONDS = 5.0


def answers(address: str) -> bool:
    """Whether anybody answers there; no under HF_HUB_OFFLINE, without asking."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "YES", "ON"):
        return False
    heard: list[bool] = []
    probe = Thread(target=lambda: heard.append(_asked(address)), daemon=True)
    probe.start()
    probe.join(PROBE_SECONDS)  # a name with several addresses would take its timeout for each
    return any(heard)


def _asked(address: str) -> bool:
    try:
        request = urllib.request.Request(address, method="HEAD")
        urllib.request.urlopen(request, timeout=PROBE_SECONDS).close()
    except urllib.error.HTTPError:
        return True  # it answered, if only to refuse this address
    except (OSError, ValueError):
        return False
    return True
