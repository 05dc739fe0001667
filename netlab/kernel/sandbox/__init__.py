"""Running programs apart: a private root, mounts and PIDs, and a filter of system calls."""
