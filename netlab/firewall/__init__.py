"""The host's own firewall as an ordered ruleset.  Pure."""
