"""The fixtures of the tests that build labs."""

from support.labs import anyones, before_all, make_netlab, netlab, untouched
from support.witness import witness

__all__ = ["anyones", "before_all", "make_netlab", "netlab", "untouched", "witness"]
