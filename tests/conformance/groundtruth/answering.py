"""netlab's own responders, in the containers of a real daemon.

Run as ``python3 answering.py REQUEST``, JSON: ``[[namespace, [[protocol, port, node, service], …]], …]``.
Prints what :func:`netlab.lab.services.responder.serve` says once everything listens, and serves until it is
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
    # No DNS server is among them, so nothing of a lab's directory is needed.
    return serve(spec, "", lambda message: print(json.dumps(message), flush=True))


if __name__ == "__main__":
    sys.exit(main())
