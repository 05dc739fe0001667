"""Running labs: the supervisor that holds one, the client that talks to it."""
