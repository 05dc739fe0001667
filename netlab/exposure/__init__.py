"""Exposure: what becomes of all packets at once, from a plan alone.  Pure: no root, no kernel, no Linux."""
