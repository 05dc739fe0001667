"""Prediction: what becomes of a packet, from a plan alone.  Pure: no root, no kernel, no Linux."""
