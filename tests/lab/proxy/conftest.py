"""The fixtures of the proxy's tests."""

from support.proxy_field import any_generation, any_proxy, field

__all__ = ["any_generation", "any_proxy", "field"]
