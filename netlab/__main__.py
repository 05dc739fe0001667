"""``python -m netlab``: the command line."""

import os
import sys

import netlab

# `-m` puts the current folder first, where a stranger's modules and entry points may be
if not sys.flags.safe_path and sys.path[:1] != [os.path.dirname(os.path.dirname(netlab.__file__))]:  # noqa: PTH120
    del sys.path[:1]

try:
    from netlab.cli.main import script
except KeyboardInterrupt:
    sys.exit(130)

if __name__ == "__main__":
    script()
