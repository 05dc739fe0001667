"""The client side of a running lab: everything that talks to its supervisor."""
