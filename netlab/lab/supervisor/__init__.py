"""The process that holds a lab, and the processes that it starts."""
