"""``python -m netlab``: the command line."""

import sys

try:
    from netlab.cli.main import script
except KeyboardInterrupt:
    sys.exit(130)

if __name__ == "__main__":
    script()
