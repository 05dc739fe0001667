"""Turn files into a checked :class:`~netlab.model.scenario.Scenario`: Compose's rules and ``x-netlab``.

This package reads only the files that the caller names: no environment, no network, no Linux.
"""

from netlab.scenario.environment import folder_environment
from netlab.scenario.hosts import Overrides
from netlab.scenario.load import Sources, load
from netlab.scenario.names import find_compose, find_default, named_by_variable
from netlab.scenario.settings import daemon_setting, scale_setting

__all__ = [
    "Overrides",
    "Sources",
    "daemon_setting",
    "find_compose",
    "find_default",
    "folder_environment",
    "load",
    "named_by_variable",
    "scale_setting",
]
