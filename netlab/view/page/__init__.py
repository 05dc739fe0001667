"""The report: what was measured of one or several labs, as one HTML page that needs nothing else."""
