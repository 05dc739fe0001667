"""Guided lessons as data: what a lesson file may hold, and its reader. Nothing is built here."""
