"""The arguments of each verb: what its help and its completion need, and no more."""
