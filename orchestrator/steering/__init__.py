"""What people do to a campaign: each deed one transaction on its store, and an event of its log with who and why."""
