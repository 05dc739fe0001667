"""The supervisor that holds a running plan, and the client that talks to it."""
