"""The JSON objects that the functions of this room make, key by key."""
