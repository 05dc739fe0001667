"""Turn files into a checked :class:`~netlab.model.scenario.Scenario`: Compose's rules and ``x-netlab``.

This package reads only the files that the caller names: no environment, no network, no Linux. Names are
imported at their first use: who reads a flow needs no YAML.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.first_use import at_first_use

if TYPE_CHECKING:
    from netlab.scenario.environment import folder_environment
    from netlab.scenario.hosts import Overrides
    from netlab.scenario.loader import Sources, load
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

__getattr__ = at_first_use(
    __name__,
    {
        "Overrides": "netlab.scenario.hosts",
        "Sources": "netlab.scenario.loader",
        "daemon_setting": "netlab.scenario.settings",
        "find_compose": "netlab.scenario.names",
        "find_default": "netlab.scenario.names",
        "folder_environment": "netlab.scenario.environment",
        "load": "netlab.scenario.loader",
        "named_by_variable": "netlab.scenario.names",
        "scale_setting": "netlab.scenario.settings",
    },
)
