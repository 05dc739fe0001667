"""The userland proxy, a separate program that behaves like ``docker-proxy``.

One process serves any number of listeners from one epoll loop (:mod:`netlab.proxy.server`); with
docker-proxy's own command line (``python -m netlab.proxy``) it serves one. It imports only small modules, or
modules that are loaded anyway, so that a process starts in a few milliseconds.
"""
