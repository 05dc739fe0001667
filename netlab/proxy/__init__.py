"""The userland proxy, a program of its own."""
