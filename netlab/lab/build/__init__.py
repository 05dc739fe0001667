"""Building a lab from its plan, and changing it to another plan."""
