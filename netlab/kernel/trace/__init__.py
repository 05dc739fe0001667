"""The kernel's packet traces: the table that asks for them, and their events."""
