"""Rigs: devices wired into cells, what keeps them safe, and what runs experiments on them."""
