"""The door: averages over hyperparameters, sparse processes, and the choice between encodings."""

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from surrogates import Data, DataError, Spec, Surrogate, choose, fit
from surrogates.data import PLAIN
from surrogates.fitting import fit_exact
from surrogates.form import Form
from surrogates.gaussian_process import GaussianProcess
from surrogates.likelihood import LogPosterior
from surrogates.mixture import Mixture
from surrogates.sampling import draws
from surrogates.scaling import Scale
from surrogates.search import rows_of
from surrogates.sparse import SparseProcess


def _wave(n: int, d: int = 3, noise: float = 0.1, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.random((n, d))
    truth = np.sin(5 * x[:, 0]) + x[:, 1]
    return x, truth, truth + noise * rng.normal(size=n)


def _sparse(n: int = 300, **options: object) -> tuple[SparseProcess, GaussianProcess]:
    x, _, y = _wave(n)
    exact = fit_exact(Data.of(x, y), PLAIN)
    return SparseProcess(exact.form, exact.theta, exact.rows, exact.scale), exact


MODELS = {
    "exact": lambda: fit(Data.of(*_wave(30)[::2]), spec=PLAIN),
    "additive": lambda: fit(Data.of(*_wave(30)[::2]), spec=Spec(kernel="additive", inference="map")),
    "saas": lambda: fit(Data.of(*_wave(30)[::2]), spec=Spec(kernel="saas", inference="map")),
    "mixture": lambda: fit(Data.of(*_wave(12)[::2])),
    "sparse": lambda: _sparse(120)[0],
}


@pytest.mark.parametrize("name", MODELS)
def test_every_surrogate_keeps_the_protocol(name):
    """Joint samples, paths, covariances and gradients all tell what `predict` tells."""
    model = MODELS[name]()
    assert isinstance(model, Surrogate)
    at = np.random.default_rng(3).random((6, 3))
    points = torch.from_numpy(at)
    belief = model.predict(at)
    mean, variance = model.moments(points)
    np.testing.assert_allclose(model.scale.restore(mean.numpy()), belief.mean)
    np.testing.assert_allclose(variance.sqrt().numpy() * model.scale.width, belief.std)
    np.testing.assert_allclose(model.covariance_with(points)(points).diagonal(), variance, rtol=1e-5, atol=1e-8)
    draws_ = model.fantasies(points, 4096, 0)
    np.testing.assert_allclose(draws_.values.mean(0), belief.mean, atol=0.03)
    np.testing.assert_allclose(draws_.values.std(0), belief.std, rtol=0.08)
    given, left = draws_.given(points)
    np.testing.assert_allclose(given, draws_.values, atol=0.02)
    assert float(left.max()) < 0.02
    other = torch.from_numpy(at + 0.05)
    mean_given, std_given = draws_.given(other)
    there = model.predict(at + 0.05)
    np.testing.assert_allclose(mean_given.mean(0), there.mean, atol=0.03)
    total = (mean_given.var(0) + std_given.square().expand_as(mean_given).mean(0)).sqrt()
    np.testing.assert_allclose(total, there.std, rtol=0.08)
    path = model.path(4096, 0)(points)
    assert path.shape == (4096, 6)
    np.testing.assert_allclose(path.mean(0), belief.mean, atol=0.05)
    np.testing.assert_allclose(path.std(0), belief.std, rtol=0.2)  # waves are finitely many
    moving = points.clone().requires_grad_(True)
    with torch.enable_grad():
        model.moments(moving)[0].sum().backward()
    assert torch.isfinite(moving.grad).all()
    assert (model.predict(at, noise=True).std > belief.std).all()
    assert json.loads(json.dumps(model.state())) == model.state()
    assert "Gaussian process" in model.describe()


@pytest.mark.parametrize("name", ["mixture", "sparse", "exact"])
def test_more_rows_make_it_more_certain_there(name):
    model = MODELS[name]()
    at = np.array([[0.9, 0.9, 0.9]])
    more = model.extended(np.repeat(at, 3, 0), [2.0, 2.1, 1.9], [0.05] * 3)
    assert more.predict(at).std[0] < model.predict(at).std[0]
    assert abs(more.predict(at).mean[0] - 2.0) < abs(model.predict(at).mean[0] - 2.0)


# averages over hyperparameters


def test_draws_have_the_moments_of_the_posterior():
    """Two hyperparameters (signal and noise of data without columns), against integration on a grid."""
    rng = np.random.default_rng(0)
    data = Data.of(np.zeros((12, 0)), rng.normal(size=12))
    form = Form.of(data, "matern")
    posterior = LogPosterior(form, rows_of(data, Scale.of(data.outcomes)))
    mode = fit_exact(data, PLAIN).theta
    drawn = draws(posterior, mode, 2000, seed=0)
    grid = torch.linspace(-6, 3, 181, dtype=torch.float64)
    a, b = torch.meshgrid(grid, grid, indexing="ij")
    at = torch.stack([a.flatten(), b.flatten()], 1)
    values, _ = posterior(at)
    weight = torch.softmax(-values, 0)
    mean = weight @ at
    std = (weight @ (at - mean).square()).sqrt()
    np.testing.assert_allclose(drawn.mean(0), mean, atol=0.08)
    np.testing.assert_allclose(drawn.std(0), std, rtol=0.1)
    torch.testing.assert_close(draws(posterior, mode, 5, seed=3), draws(posterior, mode, 5, seed=3), rtol=0, atol=0)


def test_few_data_are_averaged_over_and_more_are_not():
    x, _, y = _wave(40)
    assert isinstance(fit(Data.of(x[:10], y[:10])), Mixture)
    assert isinstance(fit(Data.of(x, y)), GaussianProcess)
    assert isinstance(fit(Data.of(x, y), spec=Spec(inference="bayesian")), Mixture)
    assert isinstance(fit(Data.of(x[:10], y[:10]), spec=Spec(inference="map")), GaussianProcess)


def test_averaging_is_less_certain_than_the_most_probable():
    wider = []
    for seed in range(10):
        x, _, y = _wave(10, seed=seed)
        data, at = Data.of(x, y), np.random.default_rng(seed).random((50, 3))
        wider.append(np.log(fit(data).predict(at).std / fit(data, spec=Spec(inference="map")).predict(at).std).mean())
    assert np.mean(wider) > 0.05


# many rows


def test_with_all_rows_inducing_a_sparse_process_is_exact():
    sparse, exact = _sparse(300)
    at = np.random.default_rng(1).random((40, 3))
    np.testing.assert_allclose(sparse.predict(at).mean, exact.predict(at).mean, atol=2e-3)
    np.testing.assert_allclose(sparse.predict(at).std, exact.predict(at).std, rtol=0.05)
    np.testing.assert_allclose(sparse.leave_one_out().mean, exact.leave_one_out().mean, atol=5e-3)
    np.testing.assert_allclose(sparse.leave_one_out().std, exact.leave_one_out().std, rtol=0.02)


def test_many_rows_are_answered_in_time_and_well():
    x, _, y = _wave(5000, noise=0.3)
    y[100] += 50.0
    model = fit(Data.of(x, y))
    assert isinstance(model, SparseProcess)
    at, truth, _ = _wave(300, seed=7)
    belief = model.predict(at)
    assert np.sqrt(np.mean((belief.mean - truth) ** 2)) < 0.05
    assert np.mean(np.abs(belief.mean - truth) < 1.645 * belief.std) > 0.7
    assert model.state()["wild_rows"] == [100.0]
    warm = fit(Data.of(x, y), warm=json.loads(json.dumps(model.state())))
    assert warm.state() == model.state()
    np.testing.assert_array_equal(warm.predict(at).mean, belief.mean)


# the choice between encodings


def test_the_encoding_that_explains_the_data_is_chosen_and_kept():
    rng = np.random.default_rng(0)
    hidden = rng.random(40)
    y = np.sin(6 * hidden) + 0.05 * rng.normal(size=40)
    noise = rng.random((40, 4))
    candidates = lambda n: {"plain": Data.of(noise[:n], y[:n]), "described": Data.of(hidden[:n, None], y[:n])}  # noqa: E731
    name, model = choose(candidates(25))
    assert name == "described"
    state = json.loads(json.dumps(model.state()))
    assert state["compared"] == 25
    again, model = choose(candidates(27), warm=state)
    assert again == "described"
    assert model.state()["compared"] == 25
    assert choose(candidates(40), warm=state)[1].state()["compared"] == 40


def test_encodings_that_are_as_good_change_nothing():
    x, _, y = _wave(20)
    name, model = choose({"first": Data.of(x, y), "second": Data.of(x[:, [2, 1, 0]], y)})
    assert name == "first"
    assert "encoding_reason" not in model.state()


def test_what_cannot_be_compared_is_refused():
    x, _, y = _wave(5)
    with pytest.raises(DataError, match="other outcomes"):
        choose({"a": Data.of(x, y), "b": Data.of(x, y + 1)})
    with pytest.raises(DataError, match="no encoding"):
        choose({})


@pytest.mark.parametrize("field", ["kernel", "inference", "outliers", "noise", "drift", "samples"])
def test_an_unknown_kind_is_refused_by_name(field):
    with pytest.raises(DataError) as caught:
        Spec(**{field: "sometimes"})
    assert caught.value.field == field
    assert caught.value.mend


@pytest.mark.parametrize("field", ["sem", "inflation", "censored", "column_sem", "sample", "order", "kinds", "groups"])
def test_data_of_another_length_are_refused_by_name(field):
    with pytest.raises(DataError) as caught:
        Data.of(np.zeros((3, 2)), [1.0, 2.0, 3.0], **{field: [1] * 4})
    assert caught.value.field == field


def test_a_fit_is_a_pure_function_of_data_and_state():
    x, _, y = _wave(18)
    first, second = (fit(Data.of(x, y), warm=fit(Data.of(x[:15], y[:15])).state()) for _ in range(2))
    np.testing.assert_array_equal(first.predict(x).mean, second.predict(x).mean)
    assert first.state() == second.state()


@pytest.mark.parametrize("warm", [{"theta": {"lengths": [1.0]}}, {"theta": 3}, {"choice": {"kernel": "additive"}}])
def test_a_state_of_other_columns_is_no_hindrance(warm):
    x, _, y = _wave(25)
    assert math.isfinite(fit(Data.of(x, y), warm=warm).predict(x).mean.sum())


@pytest.mark.parametrize("name", ["exact", "mixture"])
def test_many_points_are_predicted_in_blocks(name, monkeypatch):
    model = MODELS[name]()
    at = np.random.default_rng(0).random((50, 3))
    whole = model.predict(at, noise=True)
    monkeypatch.setattr("surrogates.gaussian_process.MOST_COVARIANCES", 1000)
    parts = model.predict(at, noise=True)
    np.testing.assert_allclose(parts.mean, whole.mean, atol=1e-10)
    np.testing.assert_allclose(parts.std, whole.std, rtol=1e-9)
    assert len(model.predict(np.empty((0, 3))).mean) == 0


@given(
    arrays(np.float64, st.tuples(st.integers(1, 14), st.integers(0, 3)), elements=st.floats(0, 1)),
    st.sampled_from(["matern", "additive", "saas"]),
    st.sampled_from(["map", "bayesian"]),
    st.data(),
)
@settings(max_examples=60, deadline=None)
def test_no_finite_data_are_too_strange(x, kernel, inference, data):
    n, d = x.shape
    y = data.draw(arrays(np.float64, n, elements=st.floats(-1e9, 1e9)))
    told = Data.of(
        x,
        y,
        sem=data.draw(arrays(np.float64, n, elements=st.floats(0, 1e6))),
        censored=data.draw(arrays(np.int8, n, elements=st.integers(-1, 1))),
        column_sem=data.draw(arrays(np.float64, (n, d), elements=st.floats(0, 0.3))),
        sample=data.draw(arrays(np.intp, n, elements=st.integers(-1, 2))),
    )
    model = fit(told, spec=Spec(kernel=kernel, inference=inference, outliers="robust", drift=data.draw(st.booleans())))
    belief = model.predict(np.vstack([x, x + 0.5]), noise=True)
    assert np.isfinite(belief.mean).all()
    assert np.isfinite(belief.std).all()
    assert (belief.std > 0).all()
    assert torch.isfinite(model.fantasies(torch.from_numpy(x), 8, 0).values).all()
    assert json.loads(json.dumps(model.state())) == model.state()
