"""The userland proxy, a program of its own: ``docker-proxy`` as far as anybody outside can tell.

One process serves any number of listeners from one epoll loop (:mod:`netlab.proxy.server`); with
docker-proxy's own command line (``python -m netlab.proxy``) it serves one. Nothing here imports another
room, and only modules that are loaded anyway or small, so that a process starts in a few milliseconds.
"""
