"""Netlink sockets and messages: links, addresses, routes, nf_tables, conntrack, sock_diag."""
