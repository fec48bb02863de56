"""Volumes: what a pump delivers by one command, and what is left in its syringe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from instruments.drivers.new_era.frames import VOLUMES, Unit, digits
from instruments.errors import LimitError

Direction: TypeAlias = Literal["infuse", "withdraw"]

NEARLY_EMPTY = 1e-9
"""mL that count as nothing."""


@dataclass(frozen=True, slots=True)
class Dispense:
    """A volume that a pump was told to move, as it was rounded for it.

    Attributes:
        volume: mL.
        rate: mL min-1.
        direction: of the flow.
        infused: that the pump had counted before, mL.
        withdrawn: the same, in the other direction.
    """

    volume: float
    rate: float
    direction: Direction
    infused: float
    withdrawn: float

    def moved(self, infused: float, withdrawn: float) -> float:
        """What was moved since it began, mL."""
        return infused - self.infused if self.direction == "infuse" else withdrawn - self.withdrawn


@dataclass
class Syringe:
    """What is in a syringe, by what the pump has counted since it was filled.

    Attributes:
        device: name for errors.
        capacity: of a full one, mL; ``None`` keeps no account.
        content: when the counters stood at zero, mL; ``None`` where that is not known.
    """

    device: str
    capacity: float | None
    content: float | None

    def left(self, infused: float, withdrawn: float) -> float:
        """What it holds, mL.

        Raises:
            LimitError: nobody knows.
        """
        if self.content is None:
            raise LimitError(
                "it is not known how much is left in the syringe, since the pump has lost its count.",
                device=self.device,
                field="left",
                mend="Fill the syringe, and say so with refill().",
            )
        return self.content - infused + withdrawn

    def room(self, direction: Direction, infused: float, withdrawn: float) -> float:
        """What can be moved in a direction, mL.

        Raises:
            LimitError: nobody knows.
        """
        left = self.left(infused, withdrawn)
        return left if direction == "infuse" else (self.capacity or 0.0) - left

    def check(self, volume: float, direction: Direction, infused: float, withdrawn: float) -> None:
        """Refuse to move more than there is, or than fits in.

        Raises:
            LimitError: it is more, or nobody knows.
        """
        room = self.room(direction, infused, withdrawn)
        if volume > room + NEARLY_EMPTY:
            what = "is left in the syringe" if direction == "infuse" else "fits into the syringe"
            raise LimitError(
                f"{volume:g} mL is more than {what} ({max(room, 0.0):.4g} mL).",
                device=self.device,
                field="volume",
                mend="Refill or empty the syringe, and say so with refill().",
            )


def in_unit(volume: float, unit: Unit, device: str, *, down: bool = False) -> tuple[str, float]:
    """A volume as the pump takes it, and what that is in mL.

    Raises:
        LimitError: it is too small or too large for the pump's digits.
    """
    text = digits(volume / VOLUMES[unit], down=down)
    if text is None or float(text) == 0.0:
        raise LimitError(
            f"a volume of {volume:g} mL cannot be told to the pump, which takes 0.001 to 9999 {unit}.",
            device=device,
            field="volume",
        )
    return text, float(text) * VOLUMES[unit]
