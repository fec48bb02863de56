"""What to do next: search spaces, objectives and strategies."""
