"""Podman: all of it but the rules, which netavark's firewall drivers write (the folders beside this one)."""
