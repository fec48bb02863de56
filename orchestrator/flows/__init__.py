"""The loop as Prefect flows: one flow run a campaign, one task a piece of it. Import from :mod:`orchestrator.flows.run`."""
