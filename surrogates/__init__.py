"""Probabilistic models of the data."""
