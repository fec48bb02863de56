"""The loop: campaigns, their store, their flows, their command line."""
