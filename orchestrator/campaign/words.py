"""Kinds of the notes in a campaign's log by which people and parts of the program tell each other something."""

from __future__ import annotations

from typing import Final

STOP_NOW: Final = "stop now"
"""What runs is to be cancelled and the laboratory made safe at once; the campaign is ``stopping``."""
COMMENT: Final = "comment"
"""Somebody's remark, on an experiment or on the campaign."""
STEP: Final = "step"
"""A step of a procedure begins or has ended: ``{attempt, step, kind, phase}``, phase ``begin`` or ``end``."""
CELL: Final = "cell"
"""A cell goes out of service or comes back: ``{cell, in_service}``."""
BREAKER: Final = "breaker"
"""Something failed too often: ``{cell, attempts}``."""
SAMPLE: Final = "sample"
"""Whether a sample may be used again: ``{sample, usable}``."""
REDUCTION: Final = "reduction"
"""Raw signals were reduced by a person's word: ``{attempt, digest, version}``."""
CONFIRM: Final = "confirm"
"""The points that are confirmed with fresh samples: ``{experiments}``."""
CONTROL: Final = "control"
"""Result of a control of the laboratory: ``{result, done}``."""
INSPECTION: Final = "inspection"
"""Nobody knows what became of an experiment. No note: its state says so; only listeners are told by this word."""
NOTIFIED: Final = "notified"
"""People were told something: ``{to, events, keys, delivered}``, with the name of an address in ``to``."""
