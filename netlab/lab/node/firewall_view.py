"""Mounts for a host with a real firewall: its own /run and its tool's folder in /etc.

::

    private/firewall/HOST/run            /run
                          etc/ufw        /etc/ufw
                          etc/firewalld  /etc/firewalld
                          etc/default/ufw

The tool itself uses it, and so does everything that `netlab exec` and `netlab shell` run in that host: so
`ufw status` and `firewall-cmd` show and control the lab's own firewall.
"""

from __future__ import annotations

import os

from netlab.kernel import libc

#: In this order: what lies under /run is reached until it is covered.
_PLACES = ("etc/ufw", "etc/firewalld", "etc/default/ufw", "run")
_RESOLVER = "/etc/resolv.conf"


def folder_of(private: str, host: str) -> str:
    """Where a host's view is kept, in the lab's own tmpfs."""
    return f"{private}/firewall/{host}"


def mount(private: str, host: str) -> None:
    """Put a host's view over the machine's files, if it has one; in a mount namespace of the caller's own.

    ``private`` can be reached as before. Raises OSError.
    """
    folder = folder_of(private, host)
    if not os.path.isdir(folder):
        return
    resolver = os.path.realpath(_RESOLVER)
    below = os.path.realpath(private)
    if below.startswith("/run/"):
        os.makedirs(folder + below, exist_ok=True)
    if resolver.startswith("/run/") and os.path.exists(resolver):
        os.makedirs(os.path.dirname(folder + resolver), exist_ok=True)
        with open(folder + resolver, "a", encoding="utf-8"):
            pass  # a place for the host's own to be mounted on
    inside = os.open(private, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for place in _PLACES:
            if os.path.exists(f"{folder}/{place}"):
                libc.mount(f"{folder}/{place}", f"/{place}", "", libc.MS_BIND)
        if below.startswith("/run/"):
            libc.mount(f"/proc/self/fd/{inside}", below, "", libc.MS_BIND | libc.MS_REC)
    finally:
        os.close(inside)
