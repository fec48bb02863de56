"""The loop as Prefect flows: one flow run a campaign, one task a piece of it; see :mod:`orchestrator.flows.run`."""
