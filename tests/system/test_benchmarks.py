"""The duels: their problems have the optima that they claim, their statistics known answers, and they can be resumed."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def load(monkeypatch):
    """Imports a module of the benchmarks, as its programs do."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(variable, "1")  # kept from the other tests' processes
    return importlib.import_module


def rows(**values):
    """Results of two strategies on one task, seed by seed."""
    table = [
        {"task": "t", "strategy": strategy, "seed": seed, "regret": value}
        for strategy, column in values.items()
        for seed, value in enumerate(column)
    ]
    return pd.DataFrame(table)


def test_a_constant_gain_has_an_interval_without_width(load):
    statistics = load("_duel.statistics")
    theirs = np.linspace(1.0, 2.0, 8)
    found = statistics.paired(rows(a=theirs - 0.25, b=theirs), statistics.Figure("regret"), "a", "b")
    assert [found[k] for k in ("value", "low", "high")] == pytest.approx([-0.25] * 3)
    assert found["verdict"] == "better"
    found = statistics.paired(rows(a=theirs / 2, b=theirs), statistics.Figure("regret", compare="geometric"), "a", "b")
    assert [found[k] for k in ("value", "low", "high")] == pytest.approx([0.5] * 3)
    found = statistics.paired(rows(a=theirs * 3, b=theirs), statistics.Figure("regret", compare="ratio"), "a", "b")
    assert [found[k] for k in ("value", "low", "high")] == pytest.approx([3.0] * 3)
    assert found["verdict"] == "worse"
    found = statistics.paired(rows(a=theirs * 3, b=theirs), statistics.Figure("regret", low=False), "a", "b")
    assert found["verdict"] == "better"


def test_a_bootstrap_interval_is_that_of_the_normal_law_where_pairs_are_many(load):
    statistics = load("_duel.statistics")
    differences = np.random.default_rng(3).normal(size=400)
    _, low, high = statistics.contrast(differences, np.zeros(400), "difference")
    width = 1.96 * differences.std(ddof=1) / 20
    assert [low, high] == pytest.approx([differences.mean() - width, differences.mean() + width], abs=0.1 * width)


def test_only_seeds_that_both_have_played_are_compared(load):
    statistics = load("_duel.statistics")
    figure = statistics.Figure("regret")
    assert statistics.paired(rows(a=[1.0] * 9, b=[2.0] * 7), figure, "a", "b")["pairs"] == 7
    few = statistics.paired(rows(a=[1.0] * 9, b=[2.0] * 3), figure, "a", "b")
    assert (few["pairs"], few["verdict"]) == (3, "too few")
    assert statistics.paired(rows(a=[1.0] * 9), figure, "a", "b") is None


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_point_is_better_than_the_optimum(load, seed):
    functions = load("_duel.functions")
    rng = np.random.default_rng(seed)
    for name in [*functions.ISSUE, *functions.BROAD]:
        task = functions.problem(name, seed)
        x = rng.dirichlet(np.ones(task.d), 5000) if task.simplex else rng.random((5000, task.d))
        assert task.values(x).max() <= task.optimum + 1e-4, name
        assert task.noise > 0


def test_the_published_optimum_of_hartmann_has_no_regret(load):
    task = load("_duel.functions").problem("hartmann6", 0)
    best = dict(zip(task.columns, [0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573], strict=True))
    assert task.regret(best) == pytest.approx(0.0, abs=1e-5)
    with pytest.raises(ValueError, match="outside"):
        task.regret(best | {"m0": 1.1})


def test_plates_hold_every_composition_in_tenths_once(load):
    pools = load("_duel.pools")
    assert len(pools.grid(4)) == 286  # 13 over 3
    assert len(pools.grid(6)) == 2121  # as many as the real plate
    grid = pools.grid(7)
    assert grid.sum(1) == pytest.approx(1.0)
    assert ((grid > 0).sum(1) <= 4).all()
    assert len(np.unique(grid.round(6), axis=0)) == len(grid)
    for kind in ("mixing", "peaks", "phases"):
        first, again, other = pools.drawn(kind, 0), pools.drawn(kind, 0), pools.drawn(kind, 4)
        assert np.array_equal(first.outcomes, again.outcomes)
        assert first.outcomes.shape != other.outcomes.shape or not np.array_equal(first.outcomes, other.outcomes)
        assert first.outcomes[first.rank == 0] == first.outcomes.max()


def test_measured_pools_are_what_they_were(load, shared_data):
    pools = load("_duel.pools")
    sizes = {name: len(pools.pool(name, 0, str(shared_data)).rows) for name in pools.MEASURED}
    assert sizes == {
        "oer_plate_3496": 2121,
        "ocx24_co": 93,
        "ocx24_c2h4": 93,
        "gde_silver_copper": 30,
        "crossed_barrel": 600,
    }
    plate = pools.pool("oer_plate_3496", 0, str(shared_data))
    assert np.sort(plate.outcomes[plate.rank < plate.top])[-1] == pytest.approx(0.347741)


@pytest.mark.parametrize("task", ["waves", "peaks_near"])
def test_a_quarter_of_a_hidden_problem_fails(load, task):
    hidden = load("_duel.hidden")
    problem = hidden.hidden(task, 1)
    d = problem.base.d
    rng = np.random.default_rng(0)
    x = rng.dirichlet(np.ones(d), 5000) if problem.base.simplex else rng.random((5000, d))
    fails = problem.fails(x)
    assert fails.mean() == pytest.approx(0.25, abs=0.03)
    assert problem.base.values(x[~fails]).max() <= problem.optimum + 1e-9
    assert problem.optimum <= problem.base.optimum + 1e-6


def test_the_hypervolume_of_a_staircase(load):
    hypervolume = load("selectivity_duel").hypervolume
    assert hypervolume(np.array([[3.0, 1.0], [1.0, 3.0], [2.0, 2.0], [1.0, 1.0]])) == pytest.approx(6.0)
    assert hypervolume(np.empty((0, 2))) == 0.0


@pytest.mark.parametrize(
    ("program", "task", "strategy", "figures"),
    [
        ("plate_duel", "drawn_peaks", "auto", {"found", "first_hit", "best_rank", "has_best"}),
        ("continuous_duel", "peaks", "auto", {"regret", "recommended", "best_seen"}),
        ("selectivity_duel", "efficiency_and_rate", "random", {"hypervolume", "wasted"}),
        ("failures_duel", "peaks", "auto (worst)", {"failures", "regret", "recommended"}),
        ("async_duel", "peaks", "auto (8 cells)", {"regret", "recommended", "hours"}),
    ],
)
def test_a_game_gives_its_figures(load, program, task, strategy, figures):
    duel, module = load("_duel.program"), load(program)
    row = module.play(duel.Game(task, strategy, 1, 12))
    assert figures <= set(row)
    assert all(np.isfinite(row[figure]) for figure in figures)
    assert json.loads(json.dumps(row)) == row


@pytest.mark.parametrize("strategy", ["random (flat)", "random (5)"])
def test_electrodes_are_counted_not_measurements(load, shared_data, strategy):
    duel, module = load("_duel.program"), load("two_stage_duel")
    row = module.play(duel.Game("ocx24_uoft", strategy, 0, 3, data=str(shared_data)))
    each = 5 if strategy == "random (5)" else 1
    if row["electrodes_to_best"] > 3:
        assert row["measurements_to_best"] == 3 * each
    assert row["electrodes_to_made"] <= row["electrodes_to_best"]


def test_a_resumed_duel_plays_only_what_is_missing(load, tmp_path, capsys):
    duel, figure = load("_duel.program"), load("_duel.statistics").Figure
    played = []

    def play(game):
        played.append(game.key)
        named = {"task": game.task, "strategy": game.strategy, "seed": game.seed, "budget": game.budget}
        return {**named, "regret": 1.0 + game.seed}

    contest = duel.Duel(play, {"t": 5}, (figure("regret"),), ours=("auto",), others=("random", "ax"))
    out = tmp_path / "out.jsonl"
    for seeds in (2, 3):
        duel.run(contest, duel.parser("about").parse_args(["--seeds", str(seeds), "--out", str(out)]))
    assert played == [("t", s, seed, 5) for seed in (0, 1) for s in ("auto", "random")] + [
        ("t", s, 2, 5) for s in ("auto", "random")
    ]  # and Ax rests without an environment of its own
    assert len(out.read_text().splitlines()) == 6
    assert "paired by seed" in capsys.readouterr().out


def test_lines_of_the_shared_protocol_are_understood(load, tmp_path):
    duel = load("_duel.program")
    line = {"strategy": "skopt_rf", "plate": "p.csv", "seed": 0, "budget": 60, "top1pct_found": 0, "best_rank": 40}
    (tmp_path / "old.jsonl").write_text(json.dumps(line | {"first_hit": None}) + "\n")
    (row,) = duel.read(tmp_path / "old.jsonl")
    assert (row["strategy"], row["task"], row["found"], row["first_hit"]) == ("random_forest", "p", 0, 61)


def test_a_peer_answers_from_a_process_of_its_own(load):
    players, pools = load("_duel.players"), load("_duel.pools")
    task = pools.drawn("mixing", 1)
    peer = players.player("botorch", task.question, 0, sys.executable)
    for i in range(6):
        peer.tell(i, {"y": float(task.outcomes[i])})
    asked = peer.ask()
    assert asked not in range(6)
    assert peer.seconds > 0
    assert peer.best() is None
    with pytest.raises(SystemExit, match="--peers"):
        players.player("botorch", task.question, 0, None)


def test_exponents_are_slopes(load):
    cost = load("ask_cost")
    table = pd.DataFrame({"rows": [10, 100, 1000], "warm_s": [0.02, 0.2, 2.0]})
    assert cost.exponent(table, "rows", "warm_s") == pytest.approx(1.0)


def test_one_cell_of_the_cost_is_measured(load):
    found = load("ask_cost").measure("pool", 12, 200, "random", asks=1)
    assert found["peak_gb"] > 0.01
    assert found["rise_gb"] >= 0
