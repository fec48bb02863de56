"""The loop without an engine, in laboratories that answer, fail, wait, and die."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from loop_bench import SPACE, Bench, SelfTesting, answer, campaign_of, loop_of, states

from acquisition import Integer, Objective, OutcomeConstraint, SearchSpace
from instruments import (
    ExecutionCancelled,
    Failure,
    Figure,
    InstrumentsError,
    Lab,
    LabError,
    LabHalted,
    LabHolds,
    LateResult,
    Measurement,
    Observation,
    Outcome,
    SignalError,
    Verdict,
)
from orchestrator import Campaign
from orchestrator.errors import LeaseHeld, LeaseLost
from orchestrator.loop import raw
from orchestrator.loop.keeping import Files
from orchestrator.store.opening import open_store
from orchestrator.store.records import CampaignRecord, Owner


def test_a_bench_is_a_lab():
    assert isinstance(Bench(), Lab)


@pytest.mark.parametrize("cells", [1, 3])
@pytest.mark.parametrize("virtual", [True, False])
def test_runs_to_its_budget(tmp_path, cells, virtual):
    campaign, lab = campaign_of(), Bench(cells=cells, virtual_time=virtual)
    assert loop_of(campaign, lab, tmp_path).run() == "completed"
    assert states(campaign) == {"completed": 10}
    assert sorted(lab.executed) == list(range(1, 11))
    assert lab.made_safe >= 1
    record = campaign.store.campaign("c")
    assert record.state == "completed"
    assert "budget of 10" in record.reason
    attempts = campaign.store.attempts("c")
    assert [a.state for a in attempts] == ["finished"] * 10
    assert {a.cell for a in attempts} == set(lab.cells)


def test_prior_data_do_not_spend_the_budget(tmp_path):
    campaign = campaign_of()
    campaign.tell(pd.DataFrame({"a": [0.1, 0.2], "b": 0.5, "y": 0.1}))
    loop_of(campaign, Bench(), tmp_path, experiments=3).run()
    assert campaign.to_dataframe()["origin"].tolist() == ["prior"] * 2 + ["asked"] * 3


def test_cells_really_run_at_once(tmp_path):
    together = Barrier(3, timeout=30)

    def behaviour(job, _):
        together.wait()  # breaks unless three jobs are here at the same time
        return answer(job)

    campaign = campaign_of()
    assert loop_of(campaign, Bench(behaviour, cells=3), tmp_path, experiments=9).run() == "completed"


def test_virtual_completions_are_learned_in_virtual_order(tmp_path):
    """Whichever thread is first: the same run times give the same campaign."""
    frames = []
    for _ in range(2):
        campaign = campaign_of()
        hours = np.random.default_rng(5).random(30)
        lab = Bench(lambda job, _, hours=hours: answer(job, 3600.0 * hours[job.experiment]), cells=4, virtual_time=True)
        loop_of(campaign, lab, tmp_path, experiments=14).run()
        frames.append(campaign.to_dataframe())
        told = sorted(campaign.experiments(), key=lambda r: r.told)
        ends = {a.experiment: a.clock_started + a.duration for a in campaign.store.attempts("c")}
        assert [ends[r.id] for r in told] == sorted(ends.values())
    pd.testing.assert_frame_equal(*frames)


def test_no_cell_waits_for_another(tmp_path):
    """One slow job in virtual time: the other cell does all the rest."""
    campaign = campaign_of(strategy="random")
    lab = Bench(lambda job, _: answer(job, 1000.0 if job.experiment == 1 else 1.0), cells=2, virtual_time=True)
    loop_of(campaign, lab, tmp_path, experiments=20).run()
    cells = {a.experiment: a.cell for a in campaign.store.attempts("c")}
    assert [cell for id, cell in cells.items() if cell == cells[1]] == [cells[1]]


def test_material_failures_are_final_equipment_failures_are_tried_again(tmp_path):
    causes = {2: "material", 3: "equipment", 4: "analysis"}
    tries: dict[int, int] = {}

    def behaviour(job, context):
        tries[job.experiment] = context.attempt
        cause = causes.get(job.experiment)
        if cause == "material" or (cause and context.attempt < 3) or job.experiment == 5:
            return Outcome(failure=Failure(cause or "equipment", "it broke"))
        return answer(job)

    campaign = campaign_of(strategy="random")
    assert loop_of(campaign, Bench(behaviour), tmp_path, experiments=6).run() == "completed"
    frame = campaign.to_dataframe()
    assert tries == {1: 1, 2: 1, 3: 3, 4: 3, 5: 3, 6: 1}
    assert frame["state"].tolist() == ["completed", "failed", "completed", "completed", "failed", "completed"]
    assert frame.loc[2, "failure_cause"] == "material"
    assert frame.loc[5, "failure_cause"] == "equipment"
    assert np.isnan(frame.loc[2, "y"])


def test_a_laboratory_that_raises_its_own_error_has_an_equipment_failure(tmp_path):
    def behaviour(job, _):
        if job.experiment == 2:
            raise InstrumentsError("the valve is stuck.")
        return answer(job)

    campaign = campaign_of(strategy="random")
    loop_of(campaign, Bench(behaviour), tmp_path, experiments=3).run()
    assert campaign.to_dataframe().loc[2, "failure_reason"] == "the valve is stuck."


@pytest.mark.parametrize(("safe", "state"), [(True, "queued"), (False, "needs_inspection")])
def test_a_bug_in_a_laboratory_fails_the_campaign_and_loses_nothing(tmp_path, safe, state):
    def behaviour(job, _):
        if job.experiment == 3:
            raise ZeroDivisionError("a bug")
        return answer(job)

    campaign, lab = campaign_of(strategy="random"), Bench(behaviour, repeat_is_safe=safe)
    with pytest.raises(ZeroDivisionError):
        loop_of(campaign, lab, tmp_path).run()
    assert states(campaign) == {"completed": 2, state: 1}
    assert campaign.store.campaign("c").state == "failed"
    assert "a bug" in campaign.store.campaign("c").reason
    assert lab.made_safe >= 1
    again = Bench(repeat_is_safe=safe)
    campaign.refresh()
    result = loop_of(campaign, again, tmp_path).run()
    assert result == ("completed" if safe else "halted")
    assert (3 in again.executed) == safe


def test_an_interruption_waits_for_what_runs_and_keeps_it(tmp_path):
    cancelled = Event()

    def behaviour(job, _):
        if job.experiment == 4:
            cancelled.set()
        return answer(job)

    campaign, lab = campaign_of(strategy="random"), Bench(behaviour)
    assert loop_of(campaign, lab, tmp_path, cancelled=cancelled).run() == "interrupted"
    assert states(campaign) == {"completed": 4}
    assert loop_of(campaign, lab, tmp_path).run() == "completed"
    assert sorted(lab.executed) == list(range(1, 11))


@pytest.mark.parametrize("safe", [True, False])
def test_a_cancelled_execution_is_queued_again_or_inspected(tmp_path, safe):
    cancelled = Event()

    def behaviour(job, context):
        if job.experiment == 2:
            cancelled.set()
            assert context.cancelled.wait(30)
            raise ExecutionCancelled("stopped")
        return answer(job)

    campaign = campaign_of(strategy="random")
    assert (
        loop_of(campaign, Bench(behaviour, repeat_is_safe=safe), tmp_path, cancelled=cancelled).run() == "interrupted"
    )
    assert states(campaign) == {"completed": 1, "queued" if safe else "needs_inspection": 1}


def test_results_that_come_later(tmp_path):
    def behaviour(job, _):
        if job.experiment == 2:
            return Outcome(awaiting=("y",))
        return answer(job)

    campaign = campaign_of(strategy="random")
    assert loop_of(campaign, Bench(behaviour), tmp_path, experiments=4).run() == "completed"
    assert states(campaign) == {"completed": 3, "awaiting_analysis": 1}
    assert "1 experiments await" in campaign.store.campaign("c").reason
    campaign.tell(pd.DataFrame({"experiment": [2], "y": [0.4]}))
    assert states(campaign) == {"completed": 4}


def test_a_used_up_space_completes_the_campaign(tmp_path):
    space = SearchSpace([Integer("a", 0, 1), Integer("b", 0, 1)])
    campaign = campaign_of(space=space, strategy="random")
    assert loop_of(campaign, Bench(cells=3), tmp_path).run() == "completed"
    assert states(campaign) == {"completed": 4}
    assert "each of the 4 points" in campaign.store.campaign("c").reason


def test_executed_inputs_verdicts_and_raw_signals_are_kept(tmp_path):
    def behaviour(job, _):
        trace = pd.DataFrame({"time_s": [0.0, 1.0], "current_A": [-0.1, -0.1]})
        seen = Observation(
            {"y": Figure(0.3, 0.02)},
            Verdict("suspect", ("Q07",)),
            executed={"a": 0.25},
            measured={"b": 0.55},
            measured_sem={"b": 0.01},
            calibrations=("gc-7",),
        )
        measurement = Measurement({"potentiostat": trace, "chromatogram/fid": trace}, {"area": "1.0 cm2"})
        return Outcome(seen, measurement=measurement, duration=5.0, sample="E-12")

    campaign = campaign_of(strategy="random")
    loop_of(campaign, Bench(behaviour), tmp_path, experiments=1).run()
    row = campaign.to_dataframe().loc[1]
    assert (row["a_executed"], row["b_measured"], row["sample"]) == (0.25, 0.55, "E-12")
    assert (row["verdict"], row["verdict_reasons"], row["calibrations"]) == ("suspect", "Q07", "gc-7")
    (attempt,) = campaign.store.attempts("c")
    assert len(attempt.digest) == 64
    assert campaign.store.experiment("c", 1).calibrations == ("gc-7",)
    kept = Files(tmp_path, tmp_path / "spool").read(attempt)
    assert set(kept.signals) == {"potentiostat", "chromatogram/fid"}
    assert kept.signals["potentiostat"]["current_A"].tolist() == [-0.1, -0.1]
    assert kept.metadata == {"area": "1.0 cm2"}


def test_metadata_that_no_file_can_hold_are_refused(tmp_path):
    with pytest.raises(LabError, match="JSON"):
        raw.write(Measurement({}, {"area": object()}), tmp_path, {})
    with pytest.raises(LabError, match="JSON"):
        raw.write(Measurement({}, {"area": float("nan")}), tmp_path, {})
    assert raw.manifest_of(tmp_path) is None


def test_what_a_dead_process_left_running_is_classified(tmp_path):
    """A process that ended between the start of an experiment and its result."""
    for safe in (True, False):
        campaign = campaign_of(strategy="random", name=f"c{safe}")
        loop = loop_of(campaign, Bench(repeat_is_safe=safe), tmp_path)
        loop._start()  # the process would end here
        loop.engine.close()
        campaign.refresh()
        lab = Bench(repeat_is_safe=safe)
        state = loop_of(campaign, lab, tmp_path, experiments=2).run()
        attempts = campaign.store.attempts(campaign.name, 1)
        if safe:
            assert state == "completed"
            assert [a.state for a in attempts] == ["unknown", "finished"]
        else:
            assert state == "halted"
            assert lab.executed == []
            assert "experiment 1" in campaign.store.campaign(campaign.name).reason


def test_a_second_controller_is_refused_with_the_name_of_the_first(tmp_path):
    store = open_store(tmp_path / "s.db")
    campaign = campaign_of(store)
    other = Owner("elsewhere", 17, 0.0, "boot", "marie")
    store.acquire("c", other)
    with pytest.raises(LeaseHeld, match="marie"):
        loop_of(campaign, Bench(), tmp_path).run()
    assert campaign.to_dataframe().empty
    store.close()


def test_a_controller_that_was_superseded_writes_nothing_more(tmp_path):
    store = open_store("memory:")
    campaign = campaign_of(store, strategy="random")
    taken_over = SimpleNamespace(done=False)

    def behaviour(job, _):
        if job.experiment == 3:
            lease = campaign.token
            store._leases.clear() if hasattr(store, "_leases") else None
            taken_over.done = lease is not None
            campaign.token = (lease or 0) - 1  # as if another had taken control since
        return answer(job)

    lab = Bench(behaviour)
    with pytest.raises(LeaseLost):
        loop_of(campaign, lab, tmp_path).run()
    assert taken_over.done
    assert lab.made_safe >= 1
    assert sum(r.state == "completed" for r in store.experiments("c")) == 2


def test_an_outcome_constraint_is_part_of_what_is_measured(tmp_path):
    campaign = Campaign(SPACE, [Objective("y")], outcome_constraints=[OutcomeConstraint("h", upper=0.5)], initial=3)

    def behaviour(job, _):
        return Outcome(Observation({"y": Figure(job.parameters["a"]), "h": Figure(job.parameters["a"])}))

    lab = Bench(behaviour)
    lab.metrics = {"y": "1", "h": "1"}
    loop_of(campaign, lab, tmp_path, experiments=12).run()
    assert 0.4 < campaign.best()["a"].iloc[0] <= 0.51


def test_a_result_that_came_is_kept_when_another_cell_breaks_the_loop(tmp_path):
    together = Barrier(2, timeout=30)

    def behaviour(job, _):
        together.wait()
        if job.experiment == 1:
            raise ZeroDivisionError("a bug")
        return answer(job)

    campaign, lab = campaign_of(strategy="random"), Bench(behaviour, cells=2, repeat_is_safe=False)
    with pytest.raises(ZeroDivisionError):
        loop_of(campaign, lab, tmp_path, experiments=2).run()
    assert campaign.to_dataframe()["state"].tolist() == ["needs_inspection", "completed"]


def test_an_unconfirmed_safe_state_halts_the_campaign(tmp_path, caplog):
    class Stuck(Bench):
        def make_safe(self):
            super().make_safe()
            raise InstrumentsError("the cell does not answer.")

    campaign = campaign_of(strategy="random")
    assert loop_of(campaign, Stuck(), tmp_path, experiments=2).run() == "halted"
    record = campaign.store.campaign("c")
    assert record.state == "halted"
    assert "does not answer" in record.reason
    (told,) = [one for one in caplog.records if one.levelname == "CRITICAL"]
    assert told.exc_info is None  # what an instrument does is no mistake of the program
    assert "does not answer" in told.getMessage()
    assert states(campaign) == {"completed": 2}


def test_interruptions_do_not_use_up_the_attempts(tmp_path):
    """Twice cancelled, then twice broken: the fifth attempt may still succeed."""
    campaign = campaign_of(strategy="random")
    cancelled: Event

    def behaviour(job, context):
        if context.attempt <= 2:
            cancelled.set()
            raise ExecutionCancelled("stopped")
        if context.attempt <= 4:
            return Outcome(failure=Failure("equipment", "a leak"))
        return answer(job)

    for expected in ("interrupted", "interrupted", "completed"):
        cancelled = Event()
        assert loop_of(campaign, Bench(behaviour), tmp_path, experiments=1, cancelled=cancelled).run() == expected
    attempts = [a.state for a in campaign.store.attempts("c")]
    assert attempts == ["cancelled", "cancelled", "failed", "failed", "finished"]


def test_a_listener_that_fails_does_not_stop_a_campaign(tmp_path):
    class Broken:
        def proposed(self, records):
            raise SystemExit(1)  # as rich does on a closed pipe

        def started(self, record, attempt):
            raise OSError("no space")

        def learned(self, record, attempt):
            raise ValueError

    campaign = campaign_of(strategy="random")
    assert loop_of(campaign, Bench(), tmp_path, experiments=3, listeners=[Broken()]).run() == "completed"


def test_ctrl_c_in_python_interrupts(tmp_path):
    def behaviour(job, _):
        raise KeyboardInterrupt

    campaign = campaign_of(strategy="random")
    with pytest.raises(KeyboardInterrupt):
        loop_of(campaign, Bench(behaviour), tmp_path).run()
    assert campaign.store.campaign("c").state == "interrupted"


def test_results_told_from_elsewhere_while_a_campaign_runs(tmp_path):
    """Prior data, a result of a running experiment and one of a queued one, told by another process."""
    store = open_store(tmp_path / "s.db")
    campaign = campaign_of(store, strategy="random")

    def behaviour(job, _):
        elsewhere = Campaign(SPACE, [Objective("y")], store=store, name="c", definition={})
        if job.experiment == 2:
            elsewhere.tell(pd.DataFrame({"a": [0.5], "b": [0.5], "y": [0.9]}))
        if job.experiment == 4:
            elsewhere.tell(pd.DataFrame({"experiment": [4], "y": [0.123]}))
        return answer(job)

    assert loop_of(campaign, Bench(behaviour), tmp_path, experiments=6).run() == "completed"
    frame = Campaign(SPACE, [Objective("y")], store=store, name="c", definition={}).to_dataframe()
    assert frame["state"].eq("completed").all()
    assert frame["origin"].tolist().count("prior") == 1
    assert frame["origin"].tolist().count("asked") == 6
    assert frame.loc[4, "y"] == 0.123
    (note,) = [event for event in store.events("c") if event.kind == "conflict"]
    assert note.experiment == 4
    store.close()


class Attended(Bench):
    """A laboratory that is taken hold of, and let go."""

    opening: InstrumentsError | None = None

    def open(self):
        self.log = ["open"]
        if self.opening is not None:
            raise self.opening

    def execute(self, job, context):
        self.log.append(f"execute {job.experiment}")
        return super().execute(job, context)

    def make_safe(self):
        self.log.append("safe")

    def close(self):
        self.log.append("close")


def test_a_laboratory_is_held_from_before_its_first_job_until_it_is_safe(tmp_path):
    lab = Attended()
    assert loop_of(campaign_of(), lab, tmp_path, experiments=2).run() == "completed"
    assert lab.log == ["open", "execute 1", "execute 2", "safe", "close"]


@pytest.mark.parametrize(
    ("problem", "state"),
    [(LabHolds("copper is short.", mend="Refill it."), "holding"), (LabHalted("tripped."), "halted")],
)
def test_a_laboratory_that_does_not_open_makes_the_campaign_wait_for_a_person(tmp_path, problem, state):
    campaign, lab = campaign_of(), Attended()
    lab.opening = problem
    assert loop_of(campaign, lab, tmp_path).run() == state
    assert lab.log == ["open", "safe", "close"]
    assert campaign.store.campaign("c").reason == str(problem)
    assert states(campaign) == {}
    lab.opening = None
    assert loop_of(campaign, lab, tmp_path, experiments=2).run() == "completed"


def _controls(campaign):
    return [event.data["done"]["verdict"] for event in campaign.store.events("c") if event.kind == "control"]


def test_controls_are_done_before_the_first_experiment_and_after_every_few(tmp_path):
    campaign, lab = campaign_of(), SelfTesting([], every_experiments=2)
    assert loop_of(campaign, lab, tmp_path, experiments=5).run() == "completed"
    assert [before for *_, before in lab.done] == [0, 2, 4]
    assert states(campaign) == {"completed": 5}  # controls do not count
    assert _controls(campaign) == ["good"] * 3


def test_cells_wait_for_a_control_of_what_they_share(tmp_path):
    campaign, lab = campaign_of(), SelfTesting([], cells=3, every_experiments=100)
    assert loop_of(campaign, lab, tmp_path, experiments=6).run() == "completed"
    assert len(lab.done) == 1


def test_a_failed_control_holds_and_is_repeated_first(tmp_path):
    campaign, lab = campaign_of(), SelfTesting(["good", "failed"], every_experiments=2)
    assert loop_of(campaign, lab, tmp_path, experiments=5).run() == "holding"
    assert "control check_gas: off by 20 %" in campaign.store.campaign("c").reason
    assert states(campaign) == {"completed": 2, "queued": 1}
    assert _controls(campaign) == ["good", "failed"]
    lab.verdicts = ["broken"]
    assert loop_of(campaign, lab, tmp_path, experiments=5).run() == "holding"
    assert "the valve is stuck" in campaign.store.campaign("c").reason
    assert loop_of(campaign, lab, tmp_path, experiments=5).run() == "completed"
    assert _controls(campaign) == ["good", "failed", "undecided", "good", "good"]
    assert states(campaign) == {"completed": 5}


def test_a_control_that_holds_re_judges_what_was_measured_since_it_was_good(tmp_path):
    campaign, lab = campaign_of(), SelfTesting(["good", "good", "failed"], every_experiments=2)
    assert loop_of(campaign, lab, tmp_path, experiments=5).run() == "holding"
    assert campaign.to_dataframe()["verdict"].tolist()[:4] == ["valid", "valid", "suspect", "suspect"]
    assert loop_of(campaign, lab, tmp_path, experiments=5).run() == "completed"  # it is good again: nothing is undone
    assert campaign.to_dataframe()["verdict"].tolist() == ["valid", "valid", "suspect", "suspect", "valid"]


def test_what_ran_while_a_control_failed_is_suspect_too(tmp_path):
    failed = Event()

    class Slow(SelfTesting):
        def control(self, name, context):
            result = super().control(name, context)
            if result.verdict == "failed":
                failed.set()
            return result

    def behaviour(job, _):
        if job.experiment == 1:
            assert failed.wait(20)
        return answer(job)

    campaign, lab = campaign_of(), Slow(["good", "failed"], cells=2, every_experiments=2)
    lab.behaviour = behaviour
    assert loop_of(campaign, lab, tmp_path, experiments=8).run() == "holding"
    assert campaign.store.experiment("c", 1).verdict == "suspect"
    assert campaign.store.experiment("c", 1).verdict_reasons == ("control check_gas",)


def test_a_failed_check_gas_may_calibrate_anew(tmp_path):
    campaign, lab = campaign_of(), SelfTesting(["failed", "good"], every_experiments=50, on_fail="recalibrate")
    assert loop_of(campaign, lab, tmp_path, experiments=3).run() == "completed"
    assert lab.calibrated == 1
    campaign, lab = campaign_of(), SelfTesting(["failed", "failed"], every_experiments=50, on_fail="recalibrate")
    assert loop_of(campaign, lab, tmp_path, experiments=3).run() == "holding"


def test_experiments_since_the_last_good_control_become_suspect(tmp_path):
    campaign, lab = (
        campaign_of(),
        SelfTesting(["good", "good", "failed"], every_experiments=2, on_fail="flag_since_last_good"),
    )
    assert loop_of(campaign, lab, tmp_path, experiments=6).run() == "completed"
    frame = campaign.to_dataframe()
    assert frame["verdict"].tolist() == ["valid", "valid", "suspect", "suspect", "valid", "valid"]
    assert campaign.store.experiment("c", 3).verdict_reasons == ("control check_gas",)


class Waiting(Bench):
    """A laboratory whose second figure comes later, in files."""

    metrics: Mapping[str, str] = {"y": "1", "z": "1"}

    def __init__(self):
        super().__init__(lambda job, _: self._measure(job), repeat_is_safe=False)
        self.files, self.kept = [], []

    def _measure(self, job):
        signals = {"trace": pd.DataFrame({"time/s": [0.0, 1.0]})}
        return Outcome(Observation({"y": Figure(0.5, 0.01)}), measurement=Measurement(signals), awaiting=("z",))

    def late(self):
        return [[self._result(file, *entry) for entry in file] for file in self.files if file not in self.kept]

    def _result(self, file, campaign, experiment, attempt, z):
        def measurement(measured):
            return Measurement({**measured.signals, "liquid": pd.DataFrame({"z": [z]})})

        def observation(measured):
            if z is None:
                raise SignalError("the table is wrong.")
            assert list(measured.signals) == ["trace"]
            return Observation({"z": Figure(z, 0.01)}, Verdict("suspect", ("closure",)))

        return LateResult(campaign, experiment, attempt, measurement, observation, lambda: self.kept.append(file))


def _waiting(store=None):
    store = store or open_store("memory:")
    store.create(CampaignRecord(name="c", definition={}, definition_hash=""))
    return Campaign(SPACE, [Objective("y"), Objective("z")], store=store, name="c", definition={}, initial=9)


def test_late_results_find_their_experiment(tmp_path):
    campaign, lab = _waiting(), Waiting()
    assert loop_of(campaign, lab, tmp_path, experiments=3).run() == "completed"
    assert states(campaign) == {"awaiting_analysis": 3}
    lab.files = [[("c", 1, 1, 0.1), ("c", 3, 1, 0.3)], [("c", 2, 1, 0.2), ("other", 1, 1, 0.9)]]
    assert loop_of(campaign, lab, tmp_path, experiments=3).run() == "completed"
    frame = campaign.to_dataframe()
    assert frame["z"].tolist() == [0.1, 0.2, 0.3]
    assert frame["y"].tolist() == [0.5] * 3
    assert set(frame["verdict"]) == {"suspect"}
    assert lab.kept == [lab.files[0]]  # another campaign has not seen the second file yet
    attempt = campaign.store.attempts("c")[0]
    whole = Files(tmp_path, tmp_path / "spool").read(attempt)
    assert set(whole.signals) == {"trace", "liquid"}
    assert attempt.digest == raw.write(whole, tmp_path / "again", {}).digest
    assert set(raw.manifest_of(tmp_path / "c" / "00001" / "1").files) == {"trace.parquet"}  # the former ones stay


def test_late_results_that_are_of_no_use_are_told_and_kept_for_a_person(tmp_path):
    campaign, lab = _waiting(), Waiting()
    assert loop_of(campaign, lab, tmp_path, experiments=1).run() == "completed"
    lab.files = [[("c", 1, 1, None)], [("c", 7, 1, 0.5)]]
    assert loop_of(campaign, lab, tmp_path, experiments=1).run() == "completed"
    said = [event.why for event in campaign.store.events("c") if event.kind == "late"]
    assert len(said) == 2
    assert any("experiment 1, attempt 1, could not be used: the table is wrong." in line for line in said)
    assert any("experiment 7" in line and "no such attempt" in line for line in said)
    assert lab.kept == []
    assert states(campaign) == {"awaiting_analysis": 1}


def test_short_stock_holds_before_the_start_and_the_experiment_waits(tmp_path):
    short = [True]

    def behaviour(job, _):
        if job.experiment == 3 and short:
            raise LabHolds("copper is short.")
        return answer(job)

    campaign, lab = campaign_of(), Bench(behaviour, repeat_is_safe=False)
    assert loop_of(campaign, lab, tmp_path, experiments=5).run() == "holding"
    assert states(campaign) == {"completed": 2, "queued": 1}
    short.clear()
    assert loop_of(campaign, lab, tmp_path, experiments=5).run() == "completed"
    assert states(campaign) == {"completed": 5}


def test_a_halt_leaves_the_experiment_to_a_person_and_lets_others_end(tmp_path):
    halted = Event()

    def behaviour(job, _):
        if job.experiment == 2:
            halted.set()
            raise LabHalted("the pressure was too high.")
        assert halted.wait(30)
        return answer(job)

    campaign, lab = campaign_of(), Bench(behaviour, cells=2, repeat_is_safe=False)
    assert loop_of(campaign, lab, tmp_path, experiments=5).run() == "halted"
    counts = states(campaign)
    assert counts.pop("needs_inspection") == 1
    assert set(counts) == {"completed"}  # at most one more had begun before the halt was heard of
    assert counts["completed"] <= 2
    assert campaign.store.campaign("c").reason == "the pressure was too high."


@pytest.mark.parametrize(("untouched", "state"), [(True, "queued"), (False, "needs_inspection")])
def test_what_was_cancelled_before_anything_moved_waits_in_the_queue(tmp_path, untouched, state):
    stop = Event()

    def behaviour(job, context):
        stop.set()
        assert context.cancelled.wait(30)
        raise ExecutionCancelled("told to end.", untouched=untouched)

    campaign, lab = campaign_of(), Bench(behaviour, repeat_is_safe=False)
    cancelled = Event()
    loop = loop_of(campaign, lab, tmp_path, cancelled=cancelled)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(loop.run)
        assert stop.wait(30)
        cancelled.set()
        assert running.result(30) == "interrupted"
    assert states(campaign) == {state: 1}


class Stubborn(Bench):
    """Goes on although it is cancelled, until somebody makes it safe."""

    def __init__(self):
        super().__init__(self._go_on, repeat_is_safe=False)
        self.on, self.safe = Event(), Event()

    def _go_on(self, job, context):
        self.on.set()
        assert self.safe.wait(30)
        raise ExecutionCancelled("somebody made it safe.")

    def make_safe(self):
        self.safe.set()


def test_a_laboratory_that_does_not_hear_of_the_end_is_made_safe_while_it_runs(tmp_path):
    campaign, lab, cancelled = campaign_of(), Stubborn(), Event()
    loop = loop_of(campaign, lab, tmp_path, cancelled=cancelled)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(loop.run)
        assert lab.on.wait(30)
        cancelled.set()
        assert running.result(25) == "interrupted"
    assert states(campaign) == {"needs_inspection": 1}


def test_a_failing_loop_makes_the_laboratory_safe_before_it_waits_for_what_runs(tmp_path, monkeypatch):
    campaign, lab = campaign_of(), Stubborn()
    loop = loop_of(campaign, lab, tmp_path)

    def fails():
        assert lab.on.wait(30)
        raise RuntimeError("the loop is broken")

    monkeypatch.setattr(loop, "_next", fails)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(loop.run)
        with pytest.raises(RuntimeError, match="broken"):
            running.result(25)
    assert campaign.store.campaign("c").state == "failed"
