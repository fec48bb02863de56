from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from simulators import problem as problems
from simulators._torch import double
from simulators.cell import SteadyState, conditions, steady_state
from simulators.materials import elements_of, surface_sites
from simulators.solver import linearise, newton, newton_step, relax
from simulators.worlds import World


@dataclass(frozen=True)
class Cosine:
    """Fixed points of ``x = gain cos(x + shift)``, one unknown of two; the other is half of it."""

    gain: np.ndarray
    shift: np.ndarray

    def sweep(self, state: np.ndarray) -> np.ndarray:
        return np.array([self.gain * np.cos(state[0] + self.shift), 0.5 * state[0] + 0.0 * self.gain])

    def rows(self, index: Any) -> Cosine:
        return Cosine(self.gain[index], self.shift[index])


def test_newton_finds_the_dottie_number_in_its_row() -> None:
    task = Cosine(np.array([1.0, 0.5, 1.0]), np.array([0.0, 0.3, np.nan]))
    state, going = newton(task, np.ones((2, 3)), 30)
    # the solution of x = cos x; a row that cannot be solved does not disturb the others
    assert state[:, 0] == pytest.approx([0.7390851332151607, 0.36954256660758], abs=1e-12)
    assert state[0, 1] == pytest.approx(0.5 * np.cos(state[0, 1] + 0.3), abs=1e-12)
    assert going.tolist() == [False, False, True]


def test_relaxation_draws_near() -> None:
    task = Cosine(np.array([1.0]), np.array([0.0]))
    state = relax(task, np.zeros((2, 1)), 60, 0.5)
    assert state[0, 0] == pytest.approx(0.7390851332151607, abs=1e-9)


def test_jacobians_by_differences() -> None:
    task = Cosine(np.array([0.8]), np.array([0.1]))
    jacobian, image = linearise(task, np.array([[0.4], [0.0]]))
    np.testing.assert_allclose(jacobian[0], [[1 + 0.8 * np.sin(0.5), 0.0], [-0.5, 1.0]], atol=1e-6)
    np.testing.assert_allclose(image[:, 0], [0.8 * np.cos(0.5), 0.2])


def test_a_singular_row_leaves_the_others_their_step() -> None:
    jacobian = np.array([[[2.0, 0.0], [0.0, 4.0]], [[1.0, 1.0], [1.0, 1.0]]])
    step = newton_step(jacobian, np.array([[2.0, 1.0], [2.0, 1.0]]))
    assert step[:, 0].tolist() == [1.0, 0.5]
    assert np.isnan(step[:, 1]).all()


def held(**settings: Any) -> SteadyState:
    world = World()
    bulk = double(np.random.default_rng(5).dirichlet([0.5] * 4, 40))
    return steady_state(
        surface_sites(bulk, elements_of(("Cu", "Ag", "Sn", "Pt"), world), world), conditions(**settings)
    )


@pytest.mark.parametrize(
    "settings",
    [
        {"current": np.geomspace(0.05, 100.0, 40)},
        {"current": np.geomspace(1.0, 2000.0, 40), "cell": "gde", "salt": "hydroxide", "concentration": 1000.0},
        {"potential": np.linspace(-2.0, -0.3, 40), "compensation": 0.0},
    ],
)
def test_the_bracket_finds_what_newton_finds(settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    usual = held(**settings)
    search = problems._search

    def fails_when_driven(problem: Any, start: Any) -> Any:
        state, going = search(problem, start)
        return state, going | (problem.drive is not None)

    monkeypatch.setattr(problems, "_search", fails_when_driven)
    bracketed = held(**settings)
    np.testing.assert_allclose(bracketed.potential.numpy(), usual.potential.numpy(), atol=1e-7)
    np.testing.assert_allclose(bracketed.rates.numpy(), usual.rates.numpy(), rtol=1e-5, atol=1e-18)
