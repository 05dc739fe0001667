"""Probes, trace sessions, canaries, capture: over any set of namespaces."""
