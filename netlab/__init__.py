"""netlab: a Docker host's network in a bottle, with every packet's path measured by the kernel."""

__version__ = "0.1.0"
