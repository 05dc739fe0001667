"""``python -m netlab``: the command line."""

import sys

from netlab.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
