"""The arguments of ``netlab serve``."""

from __future__ import annotations

import argparse

from netlab.cli.help import examples, hint


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    option = parser.add_argument
    hint(option("lab", nargs="?", metavar="LAB", help="the lab; default: the one running lab"), "lab")
    option("--port", type=int, default=0, metavar="N", help="listen on this port; default: any that is free")
    parser.epilog = (
        "It prints an address of this machine's loopback, with a random token. Open it in a browser: the "
        "page shows each journey of the lab's traffic as it happens, and plays it step by step with the "
        "whole chain beside it. It ends at Ctrl-C, or with the lab. The page needs the packages uvicorn and "
        "starlette: pip install 'netlab[serve]'."
    )
    examples(
        parser,
        ("netlab serve", "then, in another terminal: netlab exec client -- curl http://198.51.100.1/"),
        ("netlab serve httpd --port 8765", "for ssh -L 8765:127.0.0.1:8765"),
    )
