"""netlab: the network that Docker would build, and the path that each packet takes through it.

::

    with netlab.Lab("scenarios/httpd.yaml", engine="docker-28") as lab:
        journey = lab.probe("client -> host:80/tcp", family=6)
        print(journey.outcome, journey.path, journey.sees)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlab.first_use import at_first_use
from netlab.model.text import register_with
from netlab.version import __version__

if TYPE_CHECKING:
    from netlab.journey.expect_words import ExpectationFailed
    from netlab.lab.lab import Lab
    from netlab.lab.load import load_plan
    from netlab.lab.prediction import Prediction
    from netlab.lab.questions import ExposureFailed
    from netlab.lab.standing import attach, up
    from netlab.model.errors import (
        EngineFailed,
        LabError,
        MachineError,
        NetlabError,
        NoLabError,
        NoNodeError,
        NothingTested,
        OptionError,
        ScenarioWarning,
        Unmeasured,
        UsageError,
    )
    from netlab.model.problem import ScenarioError

__all__ = [
    "EngineFailed",
    "ExpectationFailed",
    "ExposureFailed",
    "Lab",
    "LabError",
    "MachineError",
    "NetlabError",
    "NoLabError",
    "NoNodeError",
    "NothingTested",
    "OptionError",
    "Prediction",
    "ScenarioError",
    "ScenarioWarning",
    "Unmeasured",
    "UsageError",
    "__version__",
    "attach",
    "load_plan",
    "up",
]

_ERRORS = "netlab.model.errors"
_WHERE = dict.fromkeys(__all__, _ERRORS) | {
    "ExpectationFailed": "netlab.journey.expect_words",
    "ExposureFailed": "netlab.lab.questions",
    "Lab": "netlab.lab.lab",
    "Prediction": "netlab.lab.prediction",
    "ScenarioError": "netlab.model.problem",
    "attach": "netlab.lab.standing",
    "load_plan": "netlab.lab.load",
    "up": "netlab.lab.standing",
}
_get = at_first_use(__name__, _WHERE)
_private = at_first_use(__name__, {"held": "netlab.lab.interrupts", "register": "netlab.view.texts"})


def __getattr__(name: str) -> object:
    """Import a public name at its first use, so that `netlab ls` need not pay for it."""
    if name not in _WHERE:
        return _get(name)  # raises AttributeError
    held: Any = _private("held")
    with held():  # half a module would be left of an import that Ctrl-C breaks off
        return _get(name)


def _register() -> None:
    """Import what draws values; the core itself does not know it."""
    held: Any = _private("held")
    with held():
        register: Any = _private("register")
        register()


register_with(_register)


def __dir__() -> list[str]:
    return __all__
