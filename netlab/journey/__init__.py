"""From trace events to journeys, verdicts and the matrix.  Pure."""
