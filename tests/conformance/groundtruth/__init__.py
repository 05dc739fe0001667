"""Ground truth: a real dockerd in its own testbed (``netlab.bench.real``), with the events of a plan.

::

    testbed_network  the network around a testbed's host: segments, the nodes outside, the host's ext0
    daemons  which daemons there are, and how those of other suites are made
    replay   events of a plan -> API calls
    snapshot what a set of network namespaces looks like (run in its own process)
    facts    a snapshot, or a plan, as comparable lines
    compare  lines of the daemon beside lines of netlab, with the departures that are allowed
    report   the result as a page
"""
