"""Isolate programs: a private root, mounts, PIDs and a system call filter."""
