"""Which netlab this is: for every room, since it imports nothing."""

__version__ = "0.1.0"
