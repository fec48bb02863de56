"""Turns what went wrong into one message and an exit status."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any, Final, NoReturn, ParamSpec

P = ParamSpec("P")

DONE: Final = 0
FAILED: Final = 1
WRONG_INPUT: Final = 2
INTERRUPTED: Final = 130


def refuse(message: str, status: int = WRONG_INPUT) -> NoReturn:
    """Print a message to stderr and end."""
    sys.stderr.write(f"sabatier: {message}\n")
    raise SystemExit(status)


def told(problem: Exception) -> str:
    """An exception in words: its sentence, and a line for each of its notes."""
    return "\n  ".join([str(problem), *getattr(problem, "__notes__", ())])


def plain_failures(command: Callable[P, Any]) -> Callable[P, Any]:
    """Let a command end with one message and the right exit status, never with a traceback for wrong input."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> Any:
        from acquisition.errors import AcquisitionError
        from instruments.errors import (
            DeviceError,
            ExecutionCancelled,
            InstrumentsError,
            LabHalted,
            LabHolds,
            LimitError,
        )
        from instruments.rig.errors import RigUnsafe
        from orchestrator.errors import NotDelivered, OrchestratorError, StoreFull, StoreLocked
        from simulators.errors import SimulatorsError
        from surrogates.errors import SurrogatesError

        try:
            return command(*args, **kwargs)
        except (NotDelivered, StoreFull, StoreLocked) as problem:
            refuse(told(problem), FAILED)
        except ExecutionCancelled as problem:
            refuse(told(problem), INTERRUPTED)
        except LimitError as problem:
            refuse(told(problem), WRONG_INPUT)
        except (DeviceError, LabHalted, LabHolds, RigUnsafe) as problem:  # what there is, not what was written
            refuse(told(problem), FAILED)
        except (OrchestratorError, AcquisitionError, InstrumentsError, SimulatorsError, SurrogatesError) as problem:
            refuse(told(problem), WRONG_INPUT)
        except OSError as problem:  # a full disk, a folder that may not be written
            refuse(f"{problem.filename or 'a file'}: {problem.strerror or problem}", FAILED)
        except KeyboardInterrupt:
            refuse("interrupted", INTERRUPTED)

    return wrapped
