"""``netlab collect``: what decides about this host's network, as one file; or the script that collects it."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from netlab.cli.arguments.collect import DEFAULT
from netlab.cli.collecting import Collecting
from netlab.cli.output import print_text, say, write_anew
from netlab.model.errors import UsageError
from netlab.twin.anonymise import Anonymiser
from netlab.twin.archive import pack
from netlab.twin.script import listing, script
from netlab.version import __version__

if TYPE_CHECKING:
    import argparse


def run(args: argparse.Namespace) -> int:
    """Collect, or print the script; returns 0. Raises UsageError if the file cannot be written."""
    if args.script:
        if args.output or args.anonymise or args.force or args.list:
            raise UsageError("--script prints a script and collects nothing: it takes no other option")
        print_text(script(__version__).removesuffix("\n"))
        return 0
    if args.list:
        for line in listing():
            print_text(line)
        return 0
    output = args.output or DEFAULT
    if os.path.lexists(output) and not args.force:
        raise UsageError(f"{output} is there already; --force replaces it")
    say("these commands are run; each only reads:")
    for line in listing():
        say(f"  {line}")
    asked = Collecting(say)
    asked.run()
    files, ran = asked.files, asked.ran
    if args.anonymise:
        files = Anonymiser(os.urandom(32)).files(files)
        ran = [replace(one, size=len(files.get(one.file, b""))) for one in ran]
    write_anew(output, pack(files, ran, __version__), replace=args.force)
    missing = sorted({one.program for one in asked.ran if one.kind == "absent"})
    if missing:
        say(f"not on this host: {', '.join(missing)}")
    if os.geteuid() != 0:
        say("you are not root: rules, programs and containers may be missing")
    say(f"wrote {output}; now: netlab twin {output}")
    return 0
