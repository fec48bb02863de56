"""The loop itself, free of any workflow engine: propose, execute, learn, until a stopping rule says so."""

from orchestrator.loop.engine import Engine, ThreadEngine
from orchestrator.loop.listener import Listener
from orchestrator.loop.loop import Loop

__all__ = ["Engine", "Listener", "Loop", "ThreadEngine"]
