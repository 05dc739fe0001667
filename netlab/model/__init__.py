"""The nouns of netlab: pure data, no I/O, no Linux.

Everything here is a frozen dataclass or an enum, and nothing here imports another room.
"""
