"""People run the experiments: a process tells them what to do, others take their results, also while it is dead."""

import signal
from threading import Event

import pytest

from orchestrator.cli.looking import summary
from orchestrator.loop.assembly import assemble
from orchestrator.steering import telling
from orchestrator.store.opening import open_store

CAMPAIGN = """\
name: by-hand
space:
  parameters:
    - {type: continuous, name: potential, low: -1.3, high: -0.7, unit: V vs RHE}
    - {type: categorical, name: cation, values: [Li, Na, K]}
objectives: [{metric: fe_co, goal: maximize}]
metrics: [j_total]
strategy: {name: random}
lab: {type: manual, cells: 2, instructions: Purge first.}
stop: {experiments: 4}
"""


@pytest.fixture
def people(bench):
    """What people do from this process, and sittings in others, which are killed with the test where they live so long."""
    bench.write(CAMPAIGN)
    sittings = []

    class People:
        run = staticmethod(bench.run)
        orders = bench.folder / "data" / "files" / "by-hand"

        def sit(self, *words, engine="threads"):
            sittings.append(bench.start(*words, "--engine", engine))
            return sittings[-1]

        def look(self, do):
            store = open_store(bench.store, durable=True, create=False)
            try:
                return do(store)
            finally:
                store.close()

        def status(self):
            return self.look(lambda store: summary(store, store.campaign("by-hand")))

        def sheet(self, **results):
            """Fill a sheet in, for the experiments ``e1``, ``e2``, ..."""
            frame = self.look(lambda store: telling.sheet(assemble(store, "by-hand").campaign, ["j_total"]))
            frame = frame.set_index("experiment").astype({"fe_co": float, "j_total": float})
            for name, value in results.items():
                frame.loc[int(name[1:]), ["fe_co", "j_total"]] = value, 12.5
            frame.to_csv(bench.folder / "today.csv")
            return bench.folder / "today.csv"

        def tell(self, **results):
            path = self.sheet(**results)
            how = {"prior": False, "amend": False, "who": "marie"}
            return self.look(lambda store: telling.tell(assemble(store, "by-hand").campaign, path, **how))

    yield People()
    for process in sittings:
        process.kill()
        process.stdout.close()
        process.wait()


def read_until(process, n, word):
    """The lines up to the n-th that has a word."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        n -= word in line
        if not n:
            return "".join(lines)
    raise AssertionError("".join(lines))


def test_killed_told_while_dead_and_resumed(people):
    first = people.sit("run", "campaign.yaml")
    assert "on bench-2, sample by-hand.0-2: " in read_until(first, 2, "to do")
    while len([*people.orders.glob("*/1/work-order.txt")]) < 2:  # announced in the moment in which it is written
        assert first.poll() is None
        Event().wait(0.01)
    first.kill()
    first.wait()
    assert [order["experiment"] for order in people.status()["work_orders"]] == [1, 2]
    text = (people.orders / "00001" / "1" / "work-order.txt").read_text()
    assert "Purge first." in text
    assert "V vs RHE" in text
    assert people.tell(e1=0.4) == "told: experiment 1; nothing is filled in for experiment 2."
    again = people.sit("resume", "by-hand")
    assert "   3  to do" in read_until(again, 1, "to do"), "the others are not begun again"
    people.tell(e2=0.5, e3=0.6)
    assert "   4  to do" in read_until(again, 1, "to do")
    people.tell(e4=0.7)
    rest = again.stdout.read()
    assert again.wait(timeout=60) == 0
    assert "campaign by-hand is completed" in rest
    status = people.status()
    assert (status["experiments"]["completed"], status["best"][0]["experiment"]) == (4, 4)
    assert status["work_orders"] == []
    events = people.look(lambda store: store.events("by-hand"))
    for id in (1, 2, 3, 4):
        own = [e for e in events if e.experiment == id]
        assert [e.after for e in own if e.kind == "experiment"] == ["queued", "running", "completed"]
        assert [e.after for e in own if e.kind == "attempt"] == ["running", "finished"]
        assert [e.who for e in own if e.after == "completed"] == ["marie"]


@pytest.mark.soak
@pytest.mark.parametrize("engine", ["threads", "prefect"])
def test_ended_by_a_signal_called_off_and_stopped_at_once(people, engine):
    first = people.sit("run", "campaign.yaml", engine=engine)
    read_until(first, 2, "to do")
    first.send_signal(signal.SIGINT)
    assert "experiments 1, 2 go on" in first.stdout.read()
    assert first.wait(timeout=60) == 130
    said = people.run("status", "by-hand").stdout
    assert "experiment 2 on bench-2, sample by-hand.0-2: " in said
    assert "sabatier tell by-hand FILE.csv" in said
    assert "1: cancelled" in people.run("cancel", "by-hand", "1", "--why", "it broke").stdout
    again = people.sit("resume", "by-hand", engine=engine)
    assert "   3  to do" in read_until(again, 1, "to do")
    people.run("stop", "by-hand", "--now", "--why", "the alarm")
    assert "campaign by-hand is stopped: the alarm" in again.stdout.read()
    assert again.wait(timeout=60) == 0
    assert people.status()["experiments"]["needs_inspection"] == 2
    assert "Told: experiment 2" in people.run("tell", "by-hand", people.sheet(e2=0.5)).stdout
    people.run("resolve", "by-hand", "3", "rerun")
    last = people.sit("resume", "by-hand", engine=engine)
    read_until(last, 2, "to do")
    people.tell(e3=0.5, e4=0.5)
    read_until(last, 1, "to do")
    people.tell(e5=0.6)
    assert "is completed" in last.stdout.read()
    assert last.wait(timeout=60) == 0
    assert people.status()["experiments"]["completed"] == 4
