"""What becomes of a flow, and how far its first packet gets: the words of scenarios, JSON and reports."""

from __future__ import annotations

from typing import Final, Literal

OutcomeName = Literal[
    "ok", "refused", "closed", "unreachable", "no-route", "timeout", "unmeasured", "unpredicted"
]
#: what happens is not known: neither a pass nor a fail, so it cannot be expected
UNKNOWN: Final = ("unmeasured", "unpredicted")
DeciderKind = Literal["rule", "policy", "socket", "route", "none", "unmeasured"]
PathName = Literal["proxy", "local", "forward", "bridge", "output", "inside", "none"]
