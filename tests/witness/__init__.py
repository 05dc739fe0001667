"""Flows asked by netlab and by plain sockets, under hostile rules, and compared."""
