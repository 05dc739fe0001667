"""Docker, all generations: a daemon that keeps its networks and rules while containers come and go."""
