"""Container engines, generation by generation, as pure state machines.  Pure."""
