"""What a process sees in a node: namespaces, mounts, sockets."""
