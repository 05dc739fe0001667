"""Benchmarks: ratios beside a floor or a peer, in one run."""
