"""``sabatier amend`` in words, and where the versions of a definition are shown."""

import json
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from orchestrator.campaign.progress import Spent
from orchestrator.cli.app import app
from orchestrator.cli.ends import standing
from orchestrator.config.load import load
from orchestrator.errors import CampaignExists
from orchestrator.export.report import render
from orchestrator.export.tables import NAMES
from orchestrator.loop.assembly import assemble, register
from orchestrator.store.changes import Note
from orchestrator.store.opening import open_store

TEXT = """\
name: c
seed: 3
space:
  parameters:
    - {type: composition, name: x, components: [Cu, Ag]}
    - {type: continuous, name: potential, low: -1.3, high: -0.7, unit: V vs RHE}
objectives: [{metric: fe_c2h4}]
strategy: random
lab: {type: simulated, chemistry: cu_alloys}
stop: {experiments: 8}
"""


@pytest.fixture
def desk(tmp_path):
    """A campaign in a store, its file, and the command."""
    url = f"sqlite:///{tmp_path / 's.db'}"
    path = tmp_path / "c.yaml"
    path.write_text(TEXT)
    store = open_store(url, durable=False)
    register(store, load(path))

    def command(*words, status=0, **changes):
        text = TEXT
        for before, after in changes.get("replace", {}).items():
            assert before in text
            text = text.replace(before, after)
        path.write_text(text)
        done = CliRunner().invoke(app, ["amend", *words[:1], str(path), *words[1:], "--store", url])
        assert done.exit_code == status, done.output
        return done.output

    yield SimpleNamespace(store=store, path=path, amend=command, folder=tmp_path)
    store.close()


def test_the_difference_is_printed_and_nothing_written_by_a_dry_run(desk):
    lower = {"low: -1.3": "low: -1.1", "experiments: 8": "experiments: 12"}
    assert "nothing is written" in desk.amend("c", "--dry-run", replace=lower).lower()
    assert desk.store.campaign("c").version == 1
    said = desk.amend("c", "--who", "marie", "--why", "glue", replace=lower)
    assert "space.parameters.potential.low  -1.3 -> -1.1" in said
    assert "stop.experiments                8 -> 12" in said
    assert "`sabatier resume c` goes on by it" in said
    assert "has this definition already (version 2)" in desk.amend("c", replace=lower)


def test_of_another_version_or_another_campaign_it_is_refused(desk):
    desk.amend("c", "--who", "marie", "--why", "glue", replace={"experiments: 8": "experiments: 9"})
    late = desk.amend("c", "--if-version", "1", replace={"experiments: 8": "experiments: 7"}, status=2)
    assert "by marie (glue), not 1" in late
    assert "seed cannot change from 3 to 4" in desk.amend("c", replace={"seed: 3": "seed: 4"}, status=2)
    assert "no campaign 'd'" in desk.amend("d", status=2)


def test_a_file_of_another_name_and_without_a_seed_will_do(desk):
    said = desk.amend("c", replace={"name: c": "name: draft", "seed: 3\n": "", "experiments: 8": "experiments: 9"})
    assert "names campaign draft; it is taken for c" in said
    assert "seed" not in said
    assert desk.store.campaign("c").definition["stop"] == {"experiments": 9}


def test_the_first_file_is_no_longer_the_campaign(desk):
    desk.amend("c", replace={"experiments: 8": "experiments: 9"})
    desk.path.write_text(TEXT)
    with pytest.raises(CampaignExists, match=r"stop\.experiments: 9 -> 8.*`sabatier amend c FILE`"):
        register(desk.store, load(desk.path))


def test_report_and_export_show_the_versions(desk):
    desk.amend("c", "--who", "marie", "--why", "the glue <softens>", replace={"experiments: 8": "experiments: 9"})
    campaign, record = assemble(desk.store, "c").campaign, desk.store.campaign("c")
    report = render(campaign, record)
    assert "Amendments of the definition" in report
    assert "the glue &lt;softens&gt;" in report
    from orchestrator.export.tables import export

    export(campaign, record, desk.folder / "out")
    summary = json.loads((desk.folder / "out" / NAMES[-1]).read_text())
    assert summary["version"] == 2
    assert summary["amendments"][0]["changes"] == [{"field": "stop.experiments", "was": 8, "now": 9}]


def test_what_models_said_of_former_rules_is_not_shown_for_new_ones(desk):
    rules = {"{experiments: 8}": "{experiments: 8, plateau: {experiments: 4}}"}
    desk.amend("c", replace=rules)
    parts = assemble(desk.store, "c")
    seen = parts.campaign.standing(parts.definition.file.stop.rule()).plain()
    desk.store.apply("c", [Note("stop", "", data={"standing": seen})], who="campaign")
    desk.amend("c", replace={"{experiments: 8}": "{experiments: 8, hours: 9, plateau: {experiments: 4}}"})
    now = standing(desk.store, desk.store.campaign("c"), Spent.of({}))
    assert [part["rule"] for part in now["parts"]] == ["experiments", "hours", "plateau"]
