"""The supervisor's own lines in the lab's log, which is its stderr."""

from __future__ import annotations

import sys
import traceback
from contextlib import suppress


def say(text: str) -> None:
    """Write a line; if the disk is full, only the line is lost."""
    with suppress(OSError):
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def say_error(error: BaseException) -> None:
    """Write an error with its traceback."""
    say("".join(traceback.format_exception(error)).rstrip())
