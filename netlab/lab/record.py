"""What a lab's record (``lab.json``) says of its plan."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any

from netlab.lab import codec
from netlab.lab.options import PLUS, Path
from netlab.model.plan import Plan
from netlab.version import __version__


def record_of(plan: Plan, text: str, files: Sequence[Path], *, owner: int | None = None) -> dict[str, Any]:
    """The contents of ``lab.json``; the supervisor adds to it. The lab ends with the process ``owner``."""
    return {
        "version": __version__,
        "uid": os.geteuid(),
        "digest": codec.digest(text),
        "files": [os.path.abspath(file) for file in files if os.fspath(file) != PLUS],
        "created": int(time.time()),
        "owner": owner,
        **counts_of(plan),
    }


def counts_of(plan: Plan) -> dict[str, Any]:
    """What ``netlab ls`` shows of a plan."""
    kinds = [node.kind for node in plan.nodes]
    return {
        "engines": list(plan.engines),
        "hosts": kinds.count("host"),
        "containers": kinds.count("container"),
        "outside": kinds.count("outside"),
        "published": len(plan.publications),
    }
