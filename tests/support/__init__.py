"""What several tests need: found as ``support.…``, since tests/ is on the path of pytest."""
