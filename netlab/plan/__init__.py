"""Fold events into a Plan; compare two plans; render rulesets as text.  Pure."""
