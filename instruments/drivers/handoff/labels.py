"""Labels of samples that leave the laboratory: readable, unique, and with a character that shows a slip of the pen."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from instruments.errors import LabError

_SIGNS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_OTHER: Final = re.compile(r"[^A-Za-z0-9._]+")
LONGEST: Final = 200
"""Characters of the longest label."""


@dataclass(frozen=True, slots=True)
class Label:
    """What stands on a vial, and what it stands for.

    Attributes:
        text: ``campaign-experiment-attempt-sample-check``: letters, digits, ``.``, ``_`` and ``-`` only, so that it can
            also be printed as Code 128.
        campaign: name.
        experiment: number in its campaign.
        attempt: number of the execution.
        sample: id of the electrode.
    """

    text: str
    campaign: str
    experiment: int
    attempt: int
    sample: str


def check_character(text: str) -> str:
    """The check character of letters and digits by ISO/IEC 7064, MOD 37,36; other characters and case do not count.

    It shows every single wrong letter or digit and nearly every exchange of two neighbours.
    """
    product = 36
    for sign in text.upper():
        if sign in _SIGNS:
            total = (product + _SIGNS.index(sign)) % 36 or 36
            product = 2 * total % 37
    return _SIGNS[(37 - product) % 36]


def label_of(campaign: str, experiment: int, attempt: int, sample: str) -> Label:
    """The label of an attempt on a sample. In names, ``-`` becomes ``_``, and what cannot be printed a dot.

    Raises:
        LabError: a name is empty, a number is negative, or all together is too long.
    """
    where, what = (_OTHER.sub(".", name.replace("-", "_")).strip(".") for name in (campaign, sample))
    if not where or not what or experiment < 0 or attempt < 0:
        raise LabError(
            f"no label can be made of {campaign!r}, {experiment}, {attempt}, {sample!r}.",
            field="label",
            mend="Names need a letter or digit, numbers must not be negative.",
        )
    body = f"{where}-{experiment}-{attempt}-{what}"
    if len(body) > LONGEST - 2:
        raise LabError(f"the label {body[:60]}... is too long.", field="label", mend="Shorten the sample's id.")
    return Label(f"{body}-{check_character(body)}", campaign, experiment, attempt, sample)


def normal(text: str) -> str:
    """A label as it is compared: without white space, in capital letters."""
    return re.sub(r"\s+", "", text).upper()


def verified(text: str) -> bool:
    """Whether a text has the form of a label and its check character is right."""
    body, dash, check = normal(text).rpartition("-")
    return bool(dash) and body.count("-") == 3 and len(check) == 1 and check_character(body) == check
