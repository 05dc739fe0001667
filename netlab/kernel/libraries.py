"""What netlab takes from scapy and pyroute2, imported at the first use.

Either takes longer to import than most commands take in all, and most need neither: an ordinary probe needs
no scapy, and a lab whose rules name no set and that is never changed needs no pyroute2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.first_use import at_first_use

if TYPE_CHECKING:
    from pyroute2 import IPRoute, IPSet, NFCTSocket
    from pyroute2.netlink.exceptions import NetlinkError
    from scapy.config import conf
    from scapy.layers import inet, inet6
    from scapy.packet import Raw

__all__ = ["IPRoute", "IPSet", "NFCTSocket", "NetlinkError", "Raw", "conf", "inet", "inet6"]

_WHERE = {
    "IPRoute": "pyroute2",
    "IPSet": "pyroute2",
    "NFCTSocket": "pyroute2",
    "NetlinkError": "pyroute2.netlink.exceptions",
    "Raw": "scapy.packet",
    "conf": "scapy.config",
    "inet": "scapy.layers.inet",
    "inet6": "scapy.layers.inet6",
}

__getattr__ = at_first_use(__name__, _WHERE)
