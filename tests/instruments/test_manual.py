"""A laboratory in which a person runs the experiments: its work orders, and how it waits."""

import json
from contextlib import contextmanager
from threading import Event, Thread

import pytest

from instruments import ExecutionCancelled, Job, Lab, LabError, Resuming, ToldElsewhere
from instruments.lab import Informed, LabOptions
from instruments.manual import ManualLab, ManualOptions

SETTINGS = {"potential": -0.912345678, "cation": "K", "x_Cu": 0.25}


class Desk:
    """A context that notes the journal's steps."""

    def __init__(self, files, attempt=1):
        self.cell, self.sample, self.attempt, self.files = "left hood", "c.0-7", attempt, files
        self.told, self.over, self.cancelled = Event(), Event(), Event()
        self.steps, self.waits = [], Event()

    @contextmanager
    def journal(self, step, kind):
        self.steps.append((step, kind))
        yield
        self.waits.set()


def lab(**options):
    return ManualLab(
        tuple(SETTINGS),
        cells=("left hood", "right hood"),
        metrics={"fe_co": "1", "j_total": "mA cm-2", "smell": ""},
        units={"potential": "V vs RHE"},
        **options,
    )


def executed(desk, job=None):
    """Execute in a thread that has written the work order by now; its end is waited for by calling."""
    ends = []

    def run():
        try:
            lab(instructions="Purge first.\n").execute(job or Job("c", 7, SETTINGS), desk)
        except ExecutionCancelled as end:
            ends.append(end)

    thread = Thread(target=run)
    thread.start()

    def end():
        thread.join(30)
        assert not thread.is_alive()
        return ends[0]

    assert desk.waits.wait(30)
    return end


def test_it_is_a_laboratory_that_resumes():
    made = lab()
    assert isinstance(made, Lab)
    assert isinstance(made, Resuming)
    assert made.resumes
    assert not made.repeat_is_safe
    assert made.cells == ("left hood", "right hood")
    made.make_safe()
    made.make_safe()


def test_a_work_order_says_all_that_a_person_needs(tmp_path):
    desk = Desk(tmp_path, attempt=2)
    end = executed(desk)
    text = (tmp_path / "work-order.txt").read_text()
    for line in (
        "Experiment 7 of c (attempt 2)",
        "where                    left hood",
        "sample                   c.0-7",
        "  potential              -0.912346 V vs RHE",
        "  cation                 K",
        "  x_Cu                   0.25",
        "  fe_co                  as a fraction: 0.25, not 25 %",
        "  j_total                in mA cm-2",
        "  smell",
        "  sabatier tell c FILE.csv",
        "  7,c.0-7,,,",
        "Purge first.",
    ):
        assert line in text.splitlines()
    plain = json.loads((tmp_path / "work-order.json").read_text())
    assert plain["schema"] == 1
    assert (plain["campaign"], plain["experiment"], plain["attempt"]) == ("c", 7, 2)
    assert (plain["cell"], plain["sample"], plain["instructions"]) == ("left hood", "c.0-7", "Purge first.")
    assert plain["parameters"][0] == {"name": "potential", "value": -0.912345678, "unit": "V vs RHE"}
    assert plain["metrics"][1:] == [{"name": "j_total", "unit": "mA cm-2"}, {"name": "smell", "unit": None}]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["work-order.json", "work-order.txt"]
    assert desk.steps == [("write the work order", "idempotent")]
    desk.told.set()
    desk.over.set()
    assert isinstance(end(), ToldElsewhere)


def test_it_ends_when_the_process_does(tmp_path):
    desk = Desk(tmp_path)
    end = executed(desk)
    desk.cancelled.set()
    desk.over.set()
    ended = end()
    assert not isinstance(ended, ToldElsewhere)
    assert "experiment 7" in str(ended)
    assert not ended.untouched, "what a person does is not known"


def test_what_is_told_already_needs_no_order(tmp_path):
    desk = Desk(tmp_path)
    desk.told.set()
    desk.over.set()
    with pytest.raises(ToldElsewhere):
        lab().execute(Job("c", 7, SETTINGS), desk)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_what_nobody_can_set_is_refused(value, tmp_path):
    wrong = {**SETTINGS, "potential": value}
    with pytest.raises(LabError, match="potential") as refused:
        lab().check(wrong)
    assert refused.value.field == "potential"
    with pytest.raises(LabError, match="potential"):
        lab().execute(Job("c", 7, wrong), Desk(tmp_path))
    lab().check(SETTINGS)


def test_options_build_a_laboratory_that_knows_what_the_campaign_is_about():
    options = ManualOptions(cells=2, instructions=" Purge. ")
    assert isinstance(options, LabOptions)
    assert isinstance(options, Informed)
    told = options.informed({"potential": "V vs RHE"}, ["fe_co", "colour"])
    assert told.type == "manual"
    assert told.tables() == {}
    made = told.build(["potential"], {})
    assert made.cells == ("bench-1", "bench-2")
    assert made.metrics == {"fe_co": "1", "colour": ""}
    assert options.build(["potential"], {}).metrics == {}
    own = ManualOptions(metrics={"fe_co": "1", "smell": "points"}, cells=["Marie", "Paul"])
    assert own.informed({}, ["fe_co"]).build(["potential"], {}).metrics == {"fe_co": "1", "smell": "points"}
    assert own.build(["potential"], {}).cells == ("Marie", "Paul")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"cells": 0}, "0 benches"),
        ({"cells": 1001}, "1001 benches"),
        ({"cells": True}, "neither how many nor which"),
        ({"cells": [1, 2]}, "neither how many nor which"),
        ({"cells": []}, "without a bench"),
        ({"cells": ["a", "a"]}, "'a' is there twice"),
        ({"cells": ["../a"]}, "cannot name a bench"),
        ({"metrics": {"fe_co": "percent"}}, "its unit is '1' everywhere"),
    ],
)
def test_options_that_cannot_be_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        ManualOptions(**options)
