"""netlab: a Docker host's network in a bottle, with every packet's path measured by the kernel.

::

    with netlab.Lab("scenarios/httpd.yaml", engine="docker-28") as lab:
        print(lab.exec("client", ["curl", "-s", "http://198.51.100.1/"]).stdout)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from netlab.lab.client import attach
    from netlab.lab.load import load_plan
    from netlab.lab.owned import Lab
    from netlab.model.errors import (
        LabError,
        MachineError,
        NetlabError,
        NothingTested,
        ScenarioError,
        Unmeasured,
        UsageError,
    )

__version__ = "0.1.0"

__all__ = [
    "Lab",
    "LabError",
    "MachineError",
    "NetlabError",
    "NothingTested",
    "ScenarioError",
    "Unmeasured",
    "UsageError",
    "__version__",
    "attach",
    "load_plan",
]

_WHERE = {"Lab": "netlab.lab.owned", "attach": "netlab.lab.client", "load_plan": "netlab.lab.load"}


def __getattr__(name: str) -> object:
    """Import a public name at its first use, so that `netlab ls` need not pay for it."""
    if name not in __all__:
        raise AttributeError(f"module 'netlab' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_WHERE.get(name, "netlab.model.errors")), name)


def __dir__() -> list[str]:
    return __all__
