"""The arguments of ``netlab demo``."""

from __future__ import annotations

import argparse

from netlab.cli.help import examples, hint


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    about = "a lesson's name or number, or a file"
    hint(parser.add_argument("name", nargs="?", metavar="LESSON", help=about), "lesson")
    parser.add_argument("--lang", choices=("en", "ja"), help="the language; default: that of LANG")
    parser.add_argument("--auto", action="store_true", help="ask nothing, and solve the tasks")
    parser.add_argument("--record", metavar="FILE", help="write a recording of the terminal (asciicast v2)")
    parser.add_argument(
        "--allow-programs", action="store_true", help="let a lesson of another author run programs as you"
    )
    parser.add_argument("--json", action="store_true", help="print the list as JSON")
    parser.epilog = (
        "A lesson builds labs, asks you to predict, measures, and lets you change things in a shell. What it "
        "says is measured while it runs; if a claim does not hold, the exit code is 1. docs/lessons.md "
        "describes the format, for lessons of your own."
    )
    examples(
        parser,
        ("netlab demo", "list the lessons"),
        ("sudo netlab demo 5", "IPv6 through docker-proxy"),
        ("netlab demo docker-user --lang ja --auto --record lesson.cast", "unattended, in Japanese"),
    )
