"""Kinds of the notes in a campaign's log by which people and parts of the program tell each other something."""

from __future__ import annotations

from typing import Final

AMENDMENT: Final = "amendment"
"""The campaign has another definition: ``{version, was}``. No note: the store writes it with the change."""
STOP_NOW: Final = "stop now"
"""What runs is to be cancelled and the laboratory made safe at once; the campaign is ``stopping``."""
COMMENT: Final = "comment"
"""Somebody's remark, on an experiment or on the campaign."""
STEP: Final = "step"
"""A step of a procedure begins or has ended: ``{attempt, step, kind, phase}``, phase ``begin`` or ``end``; of a control
that runs before the experiment also ``control``, its name."""
CELL: Final = "cell"
"""A cell goes out of service or comes back: ``{cell, in_service}``."""
BREAKER: Final = "breaker"
"""Something failed too often: ``{cell, attempts}``."""
SAMPLE: Final = "sample"
"""A sample is not to be used again, or a person puts it back: ``{sample, usable}``."""
REDUCTION: Final = "reduction"
"""Raw signals were reduced by a person's word: ``{attempt, digest, version}``."""
LINK: Final = "link"
"""Campaigns go on from one another: ``{after, experiments, ...}`` here, ``{followed_by}`` in the other's log."""
CONFIRM: Final = "confirm"
"""The points that are confirmed with fresh samples: ``{version, rule, why, points}``: version of the definition,
stopping rule, why the search was over, and by point ``{experiment, parameters, prediction, experiments}``."""
CONTROL: Final = "control"
"""Result of a control of the laboratory: ``{result, done}``."""
TURN: Final = "turn"
"""Campaigns that want the same devices take turns: ``{waits, devices}``."""
INSPECTION: Final = "inspection"
"""Nobody knows what became of an experiment. No note: its state says so; only listeners are told by this word."""
DEPLOY: Final = "deploy"
"""A person hands the campaign to the workers, also where it has ended or waits."""
NOTIFIED: Final = "notified"
"""People were told something: ``{to, events, keys, delivered}``, with the name of an address in ``to``."""
