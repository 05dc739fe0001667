"""What becomes of a flow, and how far its first packet gets: the words of scenarios, JSON and reports."""

from __future__ import annotations

from typing import Literal

OutcomeName = Literal["ok", "refused", "closed", "unreachable", "no-route", "timeout", "unmeasured"]
PathName = Literal["proxy", "local", "forward", "bridge", "output", "inside", "none"]
