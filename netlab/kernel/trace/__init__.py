"""The kernel's packet traces: the tables that request them, and their events."""
