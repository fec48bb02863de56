"""The driver of the how-to page is as short as promised."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "own-driver.md"


def test_it_has_less_than_a_hundred_lines() -> None:
    found = re.findall(r"<!-- file: \S+\.py -->\n```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.S | re.M)
    assert len(found) == 1
    assert found[0].count("\n") < 100
