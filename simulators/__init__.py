"""Laboratories in software."""
