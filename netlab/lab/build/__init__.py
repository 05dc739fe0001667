"""Build a lab from its plan, and change it to another plan."""
