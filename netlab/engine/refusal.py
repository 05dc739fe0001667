"""How an engine says no."""

from __future__ import annotations

from typing import Any, Literal

from netlab.model.errors import UsageError

Subject = Literal["daemon", "network", "container", "host", "event"]


class Refused(UsageError):
    """The real daemon would refuse this; the text is its reason.

    ``subject`` and ``name`` say what was refused: a daemon.json key, a network's docker name, a
    container's node name.
    """

    def __init__(self, subject: Subject, name: str, reason: str) -> None:
        self.subject = subject
        self.name = name
        self.reason = reason
        super().__init__(f"{subject} {name}: {reason}" if name else reason)

    def fields(self) -> dict[str, Any]:
        """What was refused, and why."""
        return {"subject": self.subject, "name": self.name, "reason": self.reason}

    @classmethod
    def of(cls, text: str, fields: dict[str, Any]) -> Refused:
        """The inverse of :meth:`fields`."""
        del text
        return cls(fields["subject"], fields["name"], fields["reason"])
