"""The kernel's packet traces: the tables that ask for them, and their events."""
