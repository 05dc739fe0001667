"""Everything that talks to a lab's supervisor."""
