"""The fixtures of the tests that build labs."""

from support.labs import anyones, before_all, make_netlab, netlab, untouched

__all__ = ["anyones", "before_all", "make_netlab", "netlab", "untouched"]
