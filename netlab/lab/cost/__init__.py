"""What a way into a lab costs: load in a lab of its own, and what it takes of the machine."""
