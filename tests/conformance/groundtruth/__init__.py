"""Ground truth: a real dockerd in a cell of its own, made to live through the same events as a plan.

::

    cell     PID 1 of a private PID, mount, network, UTS and IPC namespace; its end is everything's end
    world    the cell with the network around it: a segment, the nodes outside, the host's ext0
    docker   the engine's HTTP API over its socket
    daemon   dockerd in a world: start, stop, image
    daemons  which daemons there are, and how those of other suites are made
    replay   events of a plan -> API calls
    snapshot what a set of network namespaces looks like (run in its own process)
    facts    a snapshot, or a plan, as comparable lines
    compare  lines of the daemon beside lines of netlab, with the departures that are allowed
    report   the result as a page
"""
