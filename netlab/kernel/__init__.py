"""The only package that talks to Linux."""
