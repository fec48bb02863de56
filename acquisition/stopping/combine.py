"""Rules combined by "and" and "or"."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from acquisition.errors import StoppingError
from acquisition.stopping.progress import Progress, Reserve, Standing, StoppingRule

if TYPE_CHECKING:
    from acquisition.problem import Problem


@dataclass(frozen=True)
class _Combined(StoppingRule):
    """Several rules.

    Raises:
        StoppingError: no rule, or something that is none.
    """

    rules: tuple[StoppingRule, ...]

    word: ClassVar[str] = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "rules", tuple(self.rules))
        if not self.rules:
            raise StoppingError(f"`{self.key}` combines no rules.", field=self.key, mend="Give at least one.")
        for rule in self.rules:
            if not isinstance(rule, StoppingRule):
                raise StoppingError(f"{rule!r} is no stopping rule.", field=self.key, mend="Use Experiments(40).")

    @property
    def looks_ahead(self) -> bool:
        """Whether any of the rules does."""
        return any(rule.looks_ahead for rule in self.rules)

    @property
    def needs_gains(self) -> bool:
        """Whether any of the rules does."""
        return any(rule.needs_gains for rule in self.rules)

    @property
    def needs_durations(self) -> bool:
        """Whether any of the rules does."""
        return any(rule.needs_durations for rule in self.rules)

    def reserving(self, reserve: Reserve) -> _Combined:
        """See :meth:`StoppingRule.reserving`."""
        return replace(self, rules=tuple(rule.reserving(reserve) for rule in self.rules))

    def check(self, problem: Problem) -> None:
        """See :meth:`StoppingRule.check`."""
        for rule in self.rules:
            rule.check(problem)

    def text(self) -> str:
        """See :meth:`StoppingRule.text`."""
        parts = [f"({rule.text()})" if isinstance(rule, _Combined) else rule.text() for rule in self.rules]
        return f" {self.word} ".join(parts)


@dataclass(frozen=True)
class AnyOf(_Combined):
    """Met as soon as one of its rules is."""

    key = "any"
    word = "or"

    def standing(self, progress: Progress) -> Standing:
        """See :meth:`StoppingRule.standing`."""
        parts = tuple(rule.standing(progress) for rule in self.rules)
        first = next((part for part in parts if part.met), None)
        reason = "" if first is None else first.reason
        return Standing(
            self.key,
            self.text(),
            first is not None,
            reason=reason,
            room=min(part.room for part in parts),
            purse=min(part.purse for part in parts),
            fresh=min(part.fresh for part in parts),
            parts=parts,
        )

    def bounds(self, *, instant: bool = False) -> bool:
        """See :meth:`StoppingRule.bounds`."""
        return any(rule.bounds(instant=instant) for rule in self.rules)

    @property
    def most(self) -> int | None:
        """See :attr:`StoppingRule.most`."""
        return min((rule.most for rule in self.rules if rule.most is not None), default=None)


@dataclass(frozen=True)
class AllOf(_Combined):
    """Met while all of its rules are."""

    key = "all"
    word = "and"

    def standing(self, progress: Progress) -> Standing:
        """See :meth:`StoppingRule.standing`."""
        parts = tuple(rule.standing(progress) for rule in self.rules)
        met = all(part.met for part in parts)
        reason = " and ".join(part.reason for part in parts) if met else ""
        return Standing(
            self.key,
            self.text(),
            met,
            reason=reason,
            room=max(part.room for part in parts),
            purse=max(part.purse for part in parts),
            fresh=max(part.fresh for part in parts),
            parts=parts,
        )

    def bounds(self, *, instant: bool = False) -> bool:
        """See :meth:`StoppingRule.bounds`."""
        return all(rule.bounds(instant=instant) for rule in self.rules)

    @property
    def most(self) -> int | None:
        """See :attr:`StoppingRule.most`."""
        counts = [rule.most for rule in self.rules]
        return None if None in counts else max(count for count in counts if count is not None)
