"""The store: keeps campaigns, and is the truth about everything that was asked, done and measured."""

from orchestrator.store.changes import Amend, Change, Note, PutAsk, PutAttempt, PutExperiment, SetCampaignState
from orchestrator.store.glance import ExperimentRow, FigureRow, Kind
from orchestrator.store.memory import MemoryStore
from orchestrator.store.opening import backup, default_url, open_store, upgrade
from orchestrator.store.protocol import Store
from orchestrator.store.records import (
    AskRecord,
    AttemptRecord,
    AttemptState,
    CampaignRecord,
    CampaignState,
    EventRecord,
    ExperimentRecord,
    ExperimentState,
    Hold,
    Lease,
    Origin,
    Owner,
    Value,
)

__all__ = [
    "Amend",
    "AskRecord",
    "AttemptRecord",
    "AttemptState",
    "CampaignRecord",
    "CampaignState",
    "Change",
    "EventRecord",
    "ExperimentRecord",
    "ExperimentRow",
    "ExperimentState",
    "FigureRow",
    "Hold",
    "Kind",
    "Lease",
    "MemoryStore",
    "Note",
    "Origin",
    "Owner",
    "PutAsk",
    "PutAttempt",
    "PutExperiment",
    "SetCampaignState",
    "Store",
    "Value",
    "backup",
    "default_url",
    "open_store",
    "upgrade",
]
