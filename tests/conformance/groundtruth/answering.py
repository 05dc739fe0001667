"""netlab's own responders, in the containers of a real daemon.

Run as ``python3 answering.py REQUEST``, JSON: ``[[namespace, [[protocol, port, node, service], …]], …]``.
Writes what :func:`netlab.lab.services.responder.serve` writes once everything listens, and serves until it is
killed.
"""

from __future__ import annotations

import json
import os
import sys

from netlab.lab.services.responder import Spec, serve


def main() -> int:
    """Open the namespaces, then serve."""
    spec: Spec = [
        (
            os.open(path, os.O_RDONLY | os.O_CLOEXEC),
            [(str(a), int(b), str(c), str(d)) for a, b, c, d in ports],
        )
        for path, ports in json.loads(sys.argv[1])
    ]
    return serve(spec, 1, private="")  # no DNS server among them, so nothing of the lab's directory


if __name__ == "__main__":
    sys.exit(main())
