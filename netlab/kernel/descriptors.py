"""Close the descriptors that a new process must not inherit from its caller.

As long as any process has a copy, a file that the caller has locked stays locked, and the reader of a pipe
waits. So every netlab process that outlives a call, and every child that becomes a program, calls this with
the descriptors that it needs.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

#: Above every descriptor: the limit of now says nothing, as it may have been higher when a file was opened.
_ANY_FD = 1 << 30


def close_all_but(keep: Iterable[int]) -> None:
    """Close every descriptor above stderr that is not in ``keep`` (close_range(2))."""
    low = 3
    for fd in sorted(set(keep)):
        os.closerange(low, fd)
        low = max(low, fd + 1)
    os.closerange(low, _ANY_FD)
