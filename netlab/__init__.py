"""netlab: the network that Docker would build, and the path that each packet takes through it.

::

    with netlab.Lab("scenarios/httpd.yaml", engine="docker-28") as lab:
        journey = lab.probe("client -> host:80/tcp", family=6)
        print(journey.outcome, journey.path, journey.sees)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.version import __version__

if TYPE_CHECKING:
    from netlab.journey.expect_words import ExpectationFailed
    from netlab.lab.client.client import attach
    from netlab.lab.lab import Lab
    from netlab.lab.options import load_plan
    from netlab.lab.standing import up
    from netlab.model.errors import (
        EngineFailed,
        LabError,
        MachineError,
        NetlabError,
        NoLabError,
        NoNodeError,
        NothingTested,
        OptionError,
        ScenarioError,
        ScenarioWarning,
        Unmeasured,
        UsageError,
    )

__all__ = [
    "EngineFailed",
    "ExpectationFailed",
    "Lab",
    "LabError",
    "MachineError",
    "NetlabError",
    "NoLabError",
    "NoNodeError",
    "NothingTested",
    "OptionError",
    "ScenarioError",
    "ScenarioWarning",
    "Unmeasured",
    "UsageError",
    "__version__",
    "attach",
    "load_plan",
    "up",
]

_WHERE = {
    "ExpectationFailed": "netlab.journey.expect_words",
    "Lab": "netlab.lab.lab",
    "attach": "netlab.lab.client.client",
    "load_plan": "netlab.lab.options",
    "up": "netlab.lab.standing",
}


def __getattr__(name: str) -> object:
    """Import a public name at its first use, so that `netlab ls` need not pay for it."""
    if name not in __all__:
        raise AttributeError(f"module 'netlab' has no attribute {name!r}")
    import importlib

    from netlab.lab.interrupts import held

    with held():  # half a module would be left of an import that Ctrl-C breaks off
        if name in ("Lab", "attach", "up"):
            from netlab.view.texts import register

            register()
        return getattr(importlib.import_module(_WHERE.get(name, "netlab.model.errors")), name)


def __dir__() -> list[str]:
    return __all__
