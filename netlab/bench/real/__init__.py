"""A real Docker daemon in a cell that goes with it: what netlab is compared with."""
