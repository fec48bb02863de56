"""What is in stock, and the ledger that no crash can make wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from instruments.errors import LabError, LabHolds
from instruments.rig.ledger import Ledger, Reservation
from instruments.rig.stock import Stock, StockShort, wells

TODAY = date(2026, 5, 1)

STOCK = Stock(
    precursors={
        "Cu": {
            "element": "Cu",
            "salt": "Cu(NO3)2",
            "concentration": "100 +/- 1 mmol/L",
            "volume": "10 mL",
            "dead": "0.5 mL",
            "low": "2 mL",
            "lot": "A1",
            "expires": "2026-06-01",
            "place": "rack/A1",
        }
    },
    tips={"places": "tiprack/A1..H12", "low": 5},
    blanks={"count": 3},
    gases={"co2": {"volume": "100 L"}},
    waste={"capacity": "1 L"},
)


def ledger(folder: Path, stock: Stock = STOCK) -> Ledger:
    return Ledger(folder / "bench.stock.jsonl", stock.items(), today=lambda: TODAY)


def test_wells_are_counted_by_column() -> None:
    assert wells("p/A1..B2") == ("p/A1", "p/B1", "p/A2", "p/B2")
    assert wells("p/C7") == ("p/C7",)
    with pytest.raises(LabError, match="ends before it begins"):
        wells("p/B2..A1")


@pytest.mark.parametrize(
    ("block", "field"),
    [
        ({"precursors": {"Cu": {"element": "Cu", "concentration": "1 mol/L", "volume": "1 mL"}}}, "place"),
        ({"precursors": {"Cu": {"element": "Cu", "concentration": "1 mL", "volume": "1 mL"}}}, "concentration"),
        ({"tips": {}}, "count"),
        ({"tips": {"places": ["t/A1", "t/A1"]}}, "places"),
        ({"tips": {"places": ["t/A1"], "count": 2}}, "count"),
        ({"gases": {"co2": {"volume": "-1 L"}}}, "volume"),
        ({"check_gases": {"mix": {"volume": "1 L", "fractions": {"co": "0.9", "h2": "0.2"}}}}, "fractions"),
        ({"potions": {}}, "potions"),
        ({"solvent": {"volume": "1 L", "place": "a/A1"}, "rinse": {"volume": "1 L", "place": "a/A1"}}, "rinse.place"),
    ],
)
def test_what_cannot_be_declared(block: dict[str, object], field: str) -> None:
    with pytest.raises(LabError) as caught:
        Stock(**block)
    assert field in (caught.value.field or "")


def test_reserving_taking_and_settling(tmp_path: Path) -> None:
    with ledger(tmp_path).reserve({"precursors.Cu": 1.0, "tips": 2, "gases.co2": 0.0}, "c/1/1") as held:
        assert ledger(tmp_path).levels()["tips"].available == 94
        with held.taking({"tips": 1, "precursors.Cu": 0.25}) as places:
            assert places == {"tips": ("tiprack/A1",)}
        assert held.left == {"precursors.Cu": 0.75, "tips": 1.0}
        with held.taking({"tips": 1}) as places:
            assert places["tips"] == ("tiprack/B1",)
    levels = ledger(tmp_path).levels()
    assert levels["tips"].available == levels["tips"].amount == 94
    assert levels["precursors.Cu"].available == pytest.approx(9.25)  # 0.5 mL stay in the bottle
    assert levels["gases.co2"].amount == 1e5
    assert ledger(tmp_path).reserve({"tips": 1}, "c/2/1").left == {"tips": 1.0}


def test_what_is_short_is_told_before_anything_is_promised(tmp_path: Path) -> None:
    book = ledger(tmp_path)
    with pytest.raises(StockShort) as caught:
        book.reserve({"tips": 1, "precursors.Cu": 9.75}, "c/1/1")
    problem = caught.value
    assert isinstance(problem, LabHolds)
    assert (problem.item, problem.have, problem.need, problem.unit) == ("precursors.Cu", 9.5, 9.75, "mL")
    assert problem.field == "stock.precursors.Cu"
    assert "refill" in str(problem)
    assert book.levels()["tips"].promised == 0
    book.check({"precursors.Cu": 9.5})
    with pytest.raises(StockShort):
        book.check({"blanks": 4})


def test_two_experiments_cannot_be_promised_the_same(tmp_path: Path) -> None:
    first, second = ledger(tmp_path), ledger(tmp_path)
    held = first.reserve({"blanks": 2}, "c/1/1")
    with pytest.raises(StockShort, match="2 are needed, 1 are there"):
        second.reserve({"blanks": 2}, "c/2/1")
    held.settle()
    held.settle()
    assert second.reserve({"blanks": 2}, "c/2/1").left == {"blanks": 2.0}


def test_expired_stock_blocks_like_none(tmp_path: Path) -> None:
    book = ledger(tmp_path)
    with pytest.raises(StockShort, match="expired on 2026-06-01"):
        book.reserve({"precursors.Cu": 0.1}, "c/1/1", on=date(2026, 6, 2))
    assert any("expired" in text for text in book.problems(date(2026, 6, 2)))
    book.refill("precursors.Cu", 10.0, lot="B2", expires=date(2027, 1, 1), who="ada")
    book.reserve({"precursors.Cu": 0.1}, "c/1/1", on=date(2026, 6, 2))
    level = ledger(tmp_path).levels()["precursors.Cu"]
    assert (level.lot, level.expires) == ("B2", date(2027, 1, 1))
    assert '"who": "ada"' in book.path.read_text()


def test_low_stock_is_noticed(tmp_path: Path) -> None:
    book = ledger(tmp_path)
    assert book.problems() == ()
    book.refill("tips", 4)
    assert book.problems() == ("tips is low: 4 left",)


@pytest.mark.parametrize(
    ("name", "amount"), [("tipps", 1), ("tips", 1.5), ("tips", 97), ("tips", -1), ("waste", float("nan"))]
)
def test_amounts_that_are_none(tmp_path: Path, name: str, amount: float) -> None:
    book = ledger(tmp_path)
    before = book.path.read_bytes()
    with pytest.raises(LabError) as caught:
        book.refill(name, amount)
    assert caught.value.field == f"stock.{name}"
    assert book.path.read_bytes() == before


def test_pieces_that_are_promised_are_not_refilled(tmp_path: Path) -> None:
    book = ledger(tmp_path)
    with book.reserve({"tips": 1}, "c/1/1"), pytest.raises(LabError, match="promised"):
        book.refill("tips", 96)
    assert book.refill("tips", 96).available == 96


def test_a_step_cannot_take_more_than_was_reserved(tmp_path: Path) -> None:
    with (
        ledger(tmp_path).reserve({"blanks": 1}, "c/1/1") as held,
        held.taking({"blanks": 1}),
        pytest.raises(LabError, match="0 are left"),
        held.taking({"blanks": 1}),
    ):
        pytest.fail("it was taken twice")


def test_after_a_crash_what_had_begun_is_used_and_the_rest_is_free(tmp_path: Path) -> None:
    program = (
        "import os, sys\n"
        "from pathlib import Path\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from test_stock import ledger\n"
        "held = ledger(Path(sys.argv[1])).reserve({'precursors.Cu': 3.0, 'blanks': 2}, 'c/1/1')\n"
        "step = held.taking({'precursors.Cu': 1.0, 'blanks': 1})\n"
        "step.__enter__()\n"
        "os._exit(9)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False, capture_output=True, text=True)
    assert ended.returncode == 9, ended.stderr
    book = ledger(tmp_path)
    assert book.levels()["blanks"].promised == 2  # a person who only looks settles nothing
    assert book.settle_dead() == ("c/1/1",)
    assert book.settle_dead() == ()
    levels = book.levels()
    assert levels["blanks"].amount == levels["blanks"].available == 2
    assert levels["precursors.Cu"].amount == pytest.approx(9.0)


def test_a_line_cut_short_was_never_confirmed(tmp_path: Path) -> None:
    book = ledger(tmp_path)
    with book.path.open("ab") as file:
        file.write(b'{"event": "refilled", "item": "blanks", "amo')
    again = ledger(tmp_path)
    assert again.levels()["blanks"].amount == 3
    again.refill("blanks", 2)
    assert ledger(tmp_path).levels()["blanks"].amount == 2


def test_a_line_that_makes_no_sense_is_refused_with_its_number(tmp_path: Path) -> None:
    book = ledger(tmp_path)
    number = len(book.path.read_text().splitlines()) + 1
    with book.path.open("ab") as file:
        file.write(b'{"event": "used", "id": "r-000009", "item": "blanks", "amount": 1}\n')
    with pytest.raises(LabError, match=rf"line {number}"):
        ledger(tmp_path)


def test_the_file_decides_only_at_the_first_start(tmp_path: Path) -> None:
    with ledger(tmp_path).reserve({"blanks": 1}, "c/1/1") as held, held.taking({"blanks": 1}):
        pass
    more = Stock(**{**STOCK.model_dump(exclude_none=True), "blanks": {"count": 50}, "rinse": {"volume": "2 L"}})
    levels = ledger(tmp_path, more).levels()
    assert levels["blanks"].amount == 2
    assert levels["rinse"].amount == 2000


def test_many_threads_and_ledgers_never_promise_more_than_there_is(tmp_path: Path) -> None:
    def greedy(number: int) -> float:
        book, got = ledger(tmp_path), 0.0
        for _ in range(10):
            try:
                with book.reserve({"tips": 2}, f"c/{number}/1") as held, held.taking({"tips": 2}):
                    got += 2
            except StockShort:
                break
        return got

    with ThreadPoolExecutor(8) as pool:
        got = sum(pool.map(greedy, range(8)))
    assert got == 96
    events = [json.loads(line) for line in (tmp_path / "bench.stock.jsonl").read_text().splitlines()]
    numbers = [n for event in events if event["event"] == "reserved" for n in event["pieces"]["tips"]]
    assert sorted(numbers) == list(range(96))


class _Machine(RuleBasedStateMachine):
    """Whatever is reserved, taken, settled, refilled and reopened: nothing is lost, nothing promised twice."""

    reservations = Bundle("reservations")

    def __init__(self) -> None:
        super().__init__()
        import tempfile

        self.folder = tempfile.TemporaryDirectory()
        self.book = ledger(Path(self.folder.name))
        self.there = {"gases.co2": 1e5, "tips": 96.0}

    def teardown(self) -> None:
        self.folder.cleanup()

    @rule(target=reservations, gas=st.floats(0.0, 6e4), tips=st.integers(0, 40))
    def reserve(self, gas: float, tips: int) -> Reservation | None:
        needs = {"gases.co2": gas, "tips": tips}
        levels = self.book.levels()
        fits = all(amount <= levels[name].available + 1e-9 for name, amount in needs.items())
        try:
            held = self.book.reserve(needs, "c/1/1")
        except StockShort:
            assert not fits
            return None
        assert fits
        return held

    @rule(held=reservations, share=st.floats(0.0, 1.0))
    def take(self, held: Reservation | None, share: float) -> None:
        if held is None:
            return
        left = held.left
        part = {"gases.co2": share * left.get("gases.co2", 0.0), "tips": int(share * left.get("tips", 0.0))}
        with held.taking(part):
            pass
        for name, amount in part.items():
            self.there[name] -= amount

    @rule(held=consumes(reservations))
    def settle(self, held: Reservation | None) -> None:
        if held is not None:
            held.settle()

    @rule()
    def look_again(self) -> None:
        other = ledger(Path(self.folder.name))
        assert other.levels() == self.book.levels()

    @invariant()
    def conserved(self) -> None:
        for name, amount in self.there.items():
            level = self.book.levels()[name]
            assert level.amount == pytest.approx(amount, abs=1e-6)
            assert level.available == pytest.approx(level.amount - level.promised, abs=1e-6)


TestLedger = _Machine.TestCase
TestLedger.settings = settings(
    max_examples=25, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)


@given(st.binary(max_size=60).filter(lambda line: b"\n" not in line))
@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
def test_garbage_in_the_file_is_refused_and_never_counted(
    tmp_path_factory: pytest.TempPathFactory, junk: bytes
) -> None:
    folder = tmp_path_factory.mktemp("junk")
    path = ledger(folder).path
    path.write_bytes(path.read_bytes() + junk + b"\n")
    with pytest.raises(LabError, match="no entry"):
        ledger(folder)
