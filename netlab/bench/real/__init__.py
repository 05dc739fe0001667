"""A real Docker daemon in a testbed that goes with it: what netlab is compared with."""
