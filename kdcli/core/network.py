"""Whether somebody answers on the network, within seconds whatever the network does."""

import os
import urllib.error
import urllib.request
from threading import Thread

PROBE_SECONDS = 5.0
"""`datasets` tries for half a minute before it gives up, timm for most of a whole one: whoever sits
behind a firewall is told first, and told what to do."""


def answers(address: str) -> bool:
    """Whether anybody answers at this URL; no under HF_HUB_OFFLINE, without asking.

    Never raises, and takes no longer than `PROBE_SECONDS`.
    """
    # the words that huggingface_hub itself takes for yes
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "YES", "ON"):
        return False
    heard: list[bool] = []
    # In a thread that is left behind: looking up a name takes no timeout, and a name with several
    # addresses would take that of connecting for each.
    probe = Thread(target=lambda: heard.append(_asked(address)), daemon=True)
    probe.start()
    probe.join(PROBE_SECONDS)
    return any(heard)


def _asked(address: str) -> bool:
    try:
        request = urllib.request.Request(address, method="HEAD")
        urllib.request.urlopen(request, timeout=PROBE_SECONDS).close()
    except urllib.error.HTTPError:
        return True  # it answered, if only to refuse this address
    except (OSError, ValueError):  # ValueError: no address at all
        return False
    return True
