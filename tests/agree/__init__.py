"""Random hosts with random rules: the kernel against the prediction, hook by hook."""
