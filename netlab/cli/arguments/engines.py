"""The arguments of ``netlab engines``."""

from __future__ import annotations

import argparse

from netlab.cli.help import examples, hint


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    text = "show these with their default settings, also single versions (docker-27.3.1)"
    hint(parser.add_argument("names", nargs="*", metavar="ENGINE", help=text), "engine")
    parser.add_argument("--json", action="store_true", help="print everything about them as JSON")
    parser.epilog = (
        "An engine is what --engine and x-netlab's host.engine name. RECORDED counts the configurations of "
        "the real version whose rules, sockets, settings and flows a test compares with netlab's; BESIDE "
        "names the real versions that `nox -s conformance` runs beside it."
    )
    examples(
        parser,
        ("netlab engines", "list all"),
        ("netlab engines docker-28 podman", "compare the defaults of two"),
    )
