"""What pasta and slirp4netns are to a container: its network, frames on one side and sockets on the other.

:mod:`guest` has the link and what is not TCP or UDP, :mod:`guest_tcp` and :mod:`guest_udp` have the rest.
"""
