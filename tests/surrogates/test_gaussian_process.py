"""The Gaussian process against gpytorch with the same hyperparameters, on degenerate data, and in its own units."""

import gpytorch
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from surrogates import DataError, GaussianProcess
from surrogates.fantasies import Fantasies
from surrogates.form import FLOOR, MEAN_VARIANCE


def _wave(n: int = 40, d: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(seed).random((n, d))
    return x, 5.0 + 2.0 * np.sin(3.0 * x[:, 0]) + x[:, 1] ** 2


def _oracle(gp: GaussianProcess, x: np.ndarray, y: np.ndarray, at: np.ndarray) -> gpytorch.distributions.Distribution:
    """gpytorch's exact posterior with the fitted hyperparameters, standardised."""
    theta, d, blocks = gp.theta, x.shape[1], gp.form.blocks
    matern = gpytorch.kernels.MaternKernel(nu=2.5, ard_num_dims=d)
    matern.lengthscale = theta[:d].exp()
    kernel = gpytorch.kernels.ScaleKernel(matern) + gpytorch.kernels.ConstantKernel()
    kernel.kernels[0].outputscale = (2 * theta[blocks["signals"]][0]).exp()
    kernel.kernels[1].constant = torch.tensor(MEAN_VARIANCE)

    class Model(gpytorch.models.ExactGP):
        def forward(self, inputs):
            return gpytorch.distributions.MultivariateNormal(torch.zeros(len(inputs)).to(inputs), kernel(inputs))

    likelihood = gpytorch.likelihoods.GaussianLikelihood(
        noise_constraint=gpytorch.constraints.GreaterThan(1e-9)
    ).double()
    likelihood.noise = (2 * theta[blocks["noise"]][0]).exp() + FLOOR
    model = Model(torch.tensor(x), torch.tensor(gp.scale.standardise(y)), likelihood).double()
    model.kernel = kernel.double()
    model.eval()
    with torch.no_grad(), gpytorch.settings.fast_computations(False, False, False):
        return model(torch.tensor(at))


def test_posterior_equals_gpytorch():
    x, y = _wave()
    gp = GaussianProcess.fit(x, y)
    at = np.random.default_rng(1).random((20, 3))
    expected = _oracle(gp, x, y, at)
    belief = gp.predict(at)
    np.testing.assert_allclose(belief.mean, gp.scale.restore(expected.mean.numpy()), rtol=1e-7)
    np.testing.assert_allclose(belief.std, gp.scale.width * expected.variance.sqrt().numpy(), rtol=1e-4)


def test_learns_a_smooth_function_and_finds_the_column_that_does_not_matter():
    x, y = _wave(60)
    gp = GaussianProcess.fit(x, y)
    test_x, test_y = _wave(200, seed=5)
    belief = gp.predict(test_x)
    assert np.sqrt(np.mean((belief.mean - test_y) ** 2)) < 0.05 * test_y.std()
    assert gp.lengthscales[2] > gp.lengthscales[0]


def test_noise_is_learned_in_units_of_the_data():
    rng = np.random.default_rng(3)
    x = rng.random((150, 2))
    y = 1000.0 + 100.0 * np.sin(4 * x[:, 0]) + 20.0 * rng.normal(size=150)
    gp = GaussianProcess.fit(x, y)
    assert gp.noise == pytest.approx(20.0, rel=0.25)


def test_stated_uncertainty_replaces_learned_noise():
    rng = np.random.default_rng(3)
    x = rng.random((80, 1))
    y = np.sin(5 * x[:, 0]) + 0.3 * rng.normal(size=80)
    assert GaussianProcess.fit(x, y, sem=np.full(80, 0.3)).noise < 0.5 * GaussianProcess.fit(x, y).noise


def test_an_inflated_row_pulls_less():
    x = np.array([[0.0], [0.5], [0.5], [1.0]])
    y = np.array([0.0, 0.0, 1.0, 0.0])
    sem = np.full(4, 0.2)
    plain = GaussianProcess.fit(x, y, sem=sem).predict([[0.5]]).mean[0]
    doubted = GaussianProcess.fit(x, y, sem=sem, inflation=[1, 1, 100, 1]).predict([[0.5]]).mean[0]
    assert doubted < plain


@pytest.mark.parametrize(
    "y",
    [
        [1.0, 1.0, 1.0, 1.0],
        [0.0, 0.0, 0.0, 0.0],
        [1e-12, 2e-12, 3e-12, 2e-12],
        [1e300, -1e300, 0.0, 1e299],
        [1e-310, 2e-310, 0.0, 0.0],
        [1e15, 1e15 + 1, 1e15, 1e15 + 2],
    ],
)
@pytest.mark.parametrize("x", [np.zeros((4, 2)), np.eye(4, 2), np.array([[0.1, 0.2]] * 2 + [[0.3, 0.4]] * 2)])
def test_degenerate_data(x, y):
    belief = GaussianProcess.fit(x, y).predict(x)
    low, high = min(y), max(y)
    span = (high - low) or abs(high) or 1.0
    assert np.isfinite(belief.mean).all()
    assert np.isfinite(belief.std).all()
    assert (belief.mean >= low - span).all()
    assert (belief.mean <= high + span).all()


@given(
    arrays(np.float64, st.tuples(st.integers(1, 12), st.integers(1, 4)), elements=st.floats(0, 1)),
    st.data(),
)
@settings(max_examples=60, deadline=None)
def test_never_dies_on_finite_data(x, data):
    y = data.draw(arrays(np.float64, len(x), elements=st.floats(-1e12, 1e12)))
    gp = GaussianProcess.fit(x, y)
    belief = gp.predict(np.vstack([x, x + 0.5]))
    assert np.isfinite(belief.mean).all()
    assert (belief.std > 0).all()
    assert np.isfinite(gp.leave_one_out().mean).all()


@given(st.floats(1e-9, 1e9), st.floats(-1e6, 1e6))
@settings(max_examples=25, deadline=None)
def test_units_do_not_matter(factor, shift):
    x, y = _wave(15)
    plain = GaussianProcess.fit(x, y).predict(x[:3] + 0.1)
    shift *= factor
    scaled = GaussianProcess.fit(x, factor * y + shift).predict(x[:3] + 0.1)
    # numbers far from zero have lost digits before they come here
    tolerance = 1e-4 + 1e-12 * abs(shift) / factor
    np.testing.assert_allclose((scaled.mean - shift) / factor, plain.mean, rtol=0, atol=20 * tolerance)
    np.testing.assert_allclose(scaled.std / factor, plain.std, rtol=0.02)


def test_leave_one_out_equals_fits_without_the_row():
    x, y = _wave(12)
    gp = GaussianProcess.fit(x, y)
    left = gp.leave_one_out()
    keep = np.arange(12) != 4
    without = GaussianProcess(gp.form, gp.theta, gp.rows.take(torch.tensor(np.flatnonzero(keep))), gp.scale)
    belief = without.predict(x[[4]], noise=True)
    assert left.mean[4] == pytest.approx(belief.mean[0], rel=1e-6)
    assert left.std[4] == pytest.approx(belief.std[0], rel=1e-6)


def test_warm_start_ends_at_the_same_hyperparameters():
    x, y = _wave(30)
    cold = GaussianProcess.fit(x, y)
    warm = GaussianProcess.fit(x, y, warm=cold.state())
    np.testing.assert_allclose(warm.predict(x).mean, cold.predict(x).mean, atol=1e-3)
    assert GaussianProcess.fit(x, y, warm={"theta": [1.0]}).predict(x).mean == pytest.approx(cold.predict(x).mean)


def test_without_any_column_it_is_the_mean():
    belief = GaussianProcess.fit(np.zeros((3, 0)), [1.0, 2.0, 3.0]).predict(np.zeros((2, 0)))
    np.testing.assert_allclose(belief.mean, 2.0, atol=1e-6)
    assert (belief.std < 1.0).all()


def test_concurrent_fits_each_have_one_thread_and_give_it_back():
    """The setting belongs to a thread: one that enters while another is inside must not inherit more."""
    from concurrent.futures import ThreadPoolExecutor
    from threading import Barrier

    from surrogates import one_thread

    inside = Barrier(2, timeout=30)

    def work():
        torch.set_num_threads(2)
        with one_thread():
            inside.wait()
            seen = torch.get_num_threads()
            inside.wait()
        return seen, torch.get_num_threads()

    with ThreadPoolExecutor(2) as pool:
        assert [f.result() for f in [pool.submit(work), pool.submit(work)]] == [(1, 2), (1, 2)]


def test_threads_of_the_caller_do_not_change_the_result():
    x, y = _wave(60)
    before = torch.get_num_threads()
    results = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        results.append(GaussianProcess.fit(x, y).predict(x).mean)
        assert torch.get_num_threads() == threads
    torch.set_num_threads(before)
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize(
    ("x", "y", "options"),
    [
        (np.zeros((2, 2)), [1.0], {}),
        (np.zeros((0, 2)), [], {}),
        (np.zeros(2), [1.0, 2.0], {}),
        ([[np.nan]], [1.0], {}),
        ([[0.0]], [np.inf], {}),
        ([[0.0]], [1.0], {"sem": [-1.0]}),
        ([[0.0]], [1.0], {"inflation": [0.5]}),
    ],
)
def test_bad_data_is_refused(x, y, options):
    with pytest.raises(DataError):
        GaussianProcess.fit(x, y, **options)


def test_fantasies_have_the_posterior_moments():
    x, y = _wave(10)
    y = y + 0.3 * np.random.default_rng(0).normal(size=10)
    gp = GaussianProcess.fit(x, y)
    points = torch.tensor(x)
    samples = Fantasies(gp, points, 4096, seed=0).values
    belief = gp.predict(x)
    np.testing.assert_allclose(samples.mean(0).numpy(), belief.mean, atol=0.02)
    np.testing.assert_allclose(samples.std(0).numpy(), belief.std, rtol=0.05)


def test_given_all_samples_the_average_is_the_posterior():
    x, y = _wave(10)
    y = y + 0.3 * np.random.default_rng(0).normal(size=10)
    gp = GaussianProcess.fit(x, y)
    at = np.random.default_rng(2).random((5, 3))
    mean, std = Fantasies(gp, torch.tensor(x), 4096, seed=0).given(torch.tensor(at))
    belief = gp.predict(at)
    np.testing.assert_allclose(mean.mean(0).numpy(), belief.mean, atol=0.02)
    np.testing.assert_allclose((mean.var(0) + std.square()).sqrt().numpy(), belief.std, rtol=0.05)


def test_covariances_with_fixed_points():
    """Rasmussen & Williams 2006, eq. 2.24, by a plain inverse."""
    generator = np.random.default_rng(0)
    x = generator.random((12, 2))
    model = GaussianProcess.fit(x, np.sin(4 * x[:, 0]) + x[:, 1] + 0.1 * generator.standard_normal(12))
    a, b = torch.from_numpy(generator.random((3, 2)) * 2), torch.from_numpy(generator.random((5, 2)) * 2)
    data = model.prior_covariance(model.columns, model.columns) + torch.diag(model.noise_variance)
    left, right = model.prior_covariance(a, model.columns), model.prior_covariance(model.columns, b)
    expected = model.prior_covariance(a, b) - left @ torch.linalg.inv(data) @ right
    np.testing.assert_allclose(model.covariance_with(a)(b), expected, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(model.covariance_with(a)(a).diagonal(), model.moments(a)[1], rtol=1e-6, atol=1e-9)
