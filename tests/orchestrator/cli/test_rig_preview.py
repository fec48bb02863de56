"""The dry run of a campaign on a rig: every step, nothing opened."""

from pathlib import Path

import pytest

from orchestrator.cli.rigs import preview
from orchestrator.errors import InputError

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.mark.parametrize("cell", ["cell-1", "cell-2"])
def test_every_step_and_set_point_is_shown_and_nothing_is_opened(cell, capsys):
    with pytest.raises(SystemExit) as ended:
        preview(EXAMPLES / "rig_emulated.yaml", cell)  # no instrument listens: opening one would fail
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    number = cell[-1]
    for words in (
        "prepare composition",
        f"potentiostat-{number}.current = -0.",
        f"co2-{number}.setpoint = 20",
        "non-repeatable",
    ):
        assert words in shown


def test_only_rigs_have_dry_runs():
    with pytest.raises(InputError, match="no rig"):
        preview(EXAMPLES / "demo.yaml", None)
    with pytest.raises(InputError, match="no cell 'cell-9'"):
        preview(EXAMPLES / "rig_emulated.yaml", "cell-9")
