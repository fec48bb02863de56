"""Many problems in few words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruments.errors import DeviceError, DeviceTimeout
from instruments.rig.brief import brief, with_notes
from instruments.rig.identifying import identified


@given(st.text("abc .:\n", max_size=400), st.integers(20, 200))
def test_one_line_of_the_width(text: str, width: int) -> None:
    line = brief("pump-1", text, width)
    assert len(line) <= width
    assert "\n" not in line
    assert line.startswith("pump-1:")


def test_the_name_stands_there_once_and_what_is_cut_is_marked() -> None:
    assert brief("bath", "bath: no answer.") == "bath: no answer."
    assert brief("bath", "bath: " + "long " * 100, 30) == "bath: long long long long l..."


def test_notes_stand_beside_the_sentence() -> None:
    problem = with_notes(DeviceError("it is gone.", device="bath"), {"bath": "gone", "pump": "pump: gone too"})
    assert str(problem) == "bath: it is gone."
    assert problem.__notes__ == ["bath: gone", "pump: gone too"]


class Absent:
    """A device that cannot be reached."""

    def __init__(self, name: str) -> None:
        self.name = name

    def connect(self) -> None:
        raise DeviceTimeout("no answer.", device=self.name, mend="Look at its cable.")


def test_devices_that_are_absent_are_one_sentence_and_a_line_each() -> None:
    devices = {name: Absent(name) for name in ("bath", "pump", "relay")}
    with pytest.raises(DeviceError) as caught:
        identified(devices)  # type: ignore[arg-type]
    assert str(caught.value) == (
        "bath: no answer; also not there, or not what they should be (3 of 3): pump, relay. Look at its cable."
    )
    assert caught.value.__notes__ == ["bath: no answer.", "pump: no answer.", "relay: no answer."]
