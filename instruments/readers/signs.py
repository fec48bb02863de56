"""The sign of cathodic currents: negative in the raw-signal form, whatever a file has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from instruments.readers.source import Source

if TYPE_CHECKING:
    import pandas as pd

Cathodic: TypeAlias = Literal["negative", "positive"]

SIGNS: Final = ("negative", "positive")


def signed(table: pd.DataFrame, said: Cathodic | None, convention: Cathodic | None, source: Source) -> pd.DataFrame:
    """A table whose cathodic currents are negative; one without currents stays as it is.

    Args:
        table: a table whose currents have the file's sign.
        said: the sign of cathodic currents in the file as a person has it.
        convention: as the file or its format has it, where it has one.
        source: the file, for errors.

    Raises:
        ReaderError: nobody says it, or what the person says is no sign.
    """
    currents = [name for name in table.columns if name.split("/")[0] in ("current", "set_current")]
    if said is not None and said not in SIGNS:
        raise source.error(f"cathodic is {said!r}", field="cathodic", mend='It is "negative" or "positive".')
    sign = said or convention
    if not currents:
        return table
    if sign is None:
        raise source.error(
            "the file does not say which sign its cathodic currents have",
            field="cathodic",
            mend='Give cathodic="negative" where reduction has a negative current (IUPAC), else cathodic="positive".',
        )
    if sign == "negative":
        return table
    return table.assign(**{name: -table[name] for name in currents})
