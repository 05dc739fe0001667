"""dockerd's own settings, from its command line and its file: of both, what is about the network."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from netlab.twin.steps import DAEMON_KEYS

_FLAG = re.compile(r"--?([a-z0-9-]+)(?:=(.*))?", re.DOTALL)


def kept_flags(argv: Sequence[str]) -> str:
    """``name=value`` lines of a command line's flags that are about the network, and of ``--config-file``.

    A flag before another one stands alone, and is true.
    """
    wanted = (*DAEMON_KEYS, "config-file")
    found: list[str] = []
    waiting = ""
    for word in [*argv[1:], "--"]:
        match = _FLAG.fullmatch(word)
        if waiting:
            found.append(f"{waiting}={'true' if match or word == '--' else word}")
            waiting, match = "", match
            if match is None:
                continue
        if match is None or match[1] not in wanted:
            continue
        if match[2] is None:
            waiting = match[1]
        else:
            found.append(f"{match[1]}={match[2]}")
    return "".join(f"{line}\n" for line in found if "\n" not in line)


def kept_settings(text: str) -> str:
    """daemon.json with nothing but the keys that are about the network; raises ValueError if it is none."""
    whole = json.loads(text)
    if not isinstance(whole, dict):
        raise ValueError("no JSON object")
    return json.dumps({key: value for key, value in whole.items() if key in DAEMON_KEYS})
