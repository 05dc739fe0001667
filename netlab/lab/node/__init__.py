"""What a process of a node sees: namespaces, mounts, sockets."""
