"""Sweeps: many scenarios and variants, in the threads of this process or on the workers of a cluster."""
