"""What is special about single rows: samples, limits, uncertain inputs, wild values, drift, uneven noise."""

import json
import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats

import surrogates
from surrogates import Data, Spec
from surrogates.censoring import with_sites
from surrogates.data import PLAIN
from surrogates.form import FLOOR, Form
from surrogates.gaussian_process import GaussianProcess
from surrogates.likelihood import Rows, covariance
from surrogates.scaling import Scale
from surrogates.search import rows_of

MAP = Spec(inference="map")


def fit(data: Data, spec: Spec = MAP, **options) -> GaussianProcess:
    return surrogates.fit(data, spec=spec, **options)


def _wave(n: int, d: int = 2, noise: float = 0.1, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.random((n, d))
    truth = np.sin(5 * x[:, 0]) + x[:, 1]
    return x, truth, truth + noise * rng.normal(size=n)


# samples


PLAIN_SAMPLES = Spec(outliers="none", drift=False, inference="map")


def _electrodes(seed: int, tau: float = 0.5, noise: float = 0.1, samples: int = 24, each: int = 4):
    rng = np.random.default_rng(seed)
    preparation = np.repeat(rng.random((samples, 1)), each, axis=0)
    x = np.hstack([preparation, rng.random((samples * each, 1))])
    effect = tau * rng.normal(size=samples)
    ids = np.repeat(np.arange(samples), each)
    truth = np.sin(4 * x[:, 0]) + 2 * x[:, 1]
    return x, truth, truth + effect[ids] + noise * rng.normal(size=len(ids)), ids, effect


def test_the_scatter_between_samples_is_recovered():
    ratios = []
    for seed in range(8):
        x, _, y, ids, _ = _electrodes(seed)
        model = fit(Data.of(x, y, sample=ids))
        ratios.append(math.log(model.between / 0.5))
        assert model.noise == pytest.approx(0.1, rel=0.35)
    assert abs(np.mean(ratios)) < 0.2
    assert np.std(ratios) < 0.35


def test_effects_of_samples_are_known_as_well_as_they_say():
    x, _, y, ids, effect = _electrodes(3)
    model = fit(Data.of(x, y, sample=ids))
    believed = np.array([model.sample_effect(s) for s in range(len(effect))])
    pulls = (believed[:, 0] - effect) / believed[:, 1]
    assert np.corrcoef(believed[:, 0], effect)[0, 1] > 0.9
    assert np.sqrt(np.mean(pulls**2)) < 1.6
    assert model.sample_effect(999) == (0.0, pytest.approx(model.between))


def test_on_a_known_sample_its_effect_counts_and_on_a_new_one_its_scatter():
    x, _, y, ids, effect = _electrodes(1)
    model = fit(Data.of(x, y, sample=ids))
    sample = int(np.argmax(np.abs(effect)))
    here = x[[4 * sample]] * [[1, 0]] + [[0, 0.5]]
    function, measured = model.predict(here), model.predict(here, noise=True)
    assert measured.std[0] ** 2 == pytest.approx(function.std[0] ** 2 + model.between**2 + model.noise**2, rel=1e-6)
    view = model.on_sample(sample)
    mean, _ = model.sample_effect(sample)
    assert view.predict(here).mean[0] == pytest.approx(function.mean[0] + mean)
    assert view.predict(here, noise=True).std[0] < 0.7 * measured.std[0]
    # its joint samples and paths are of measurements on that sample too
    points = torch.from_numpy(here)
    assert view.fantasies(points, 512, 0).values.mean().item() == pytest.approx(view.predict(here).mean[0], abs=0.05)
    paths = view.path(4096, 0)(points)
    assert paths.mean().item() == pytest.approx(view.predict(here).mean[0], abs=0.05)
    assert paths.std().item() == pytest.approx(view.predict(here).std[0], rel=0.15)


def test_a_sample_view_equals_the_joint_gaussian():
    """The function on a sample is the function plus the effect, in one joint normal with all rows."""
    x, _, y, ids, _ = _electrodes(2, samples=5, each=2)
    model = fit(Data.of(x, y, sample=ids), spec=PLAIN_SAMPLES)
    at = torch.tensor([[0.3, 0.4]], dtype=torch.float64)
    rows = model.rows
    both = Rows(
        *(
            torch.cat([getattr(rows, f), v])
            for f, v in [
                ("columns", at),
                ("outcomes", torch.zeros(1)),
                ("factor", torch.zeros(1)),
                ("stated", torch.zeros(1)),
                ("sample", torch.tensor([3])),
                ("order", torch.tensor([99.0])),
            ]
        )
    )
    joint = covariance(model.form, model.theta, both)
    data = joint[:-1, :-1] + torch.diag(model.noise_variance)
    weights = torch.linalg.solve(data, joint[:-1, -1])
    mean, variance = model.on_sample(3).moments(at)
    assert float(mean) == pytest.approx(float(weights @ rows.outcomes), rel=1e-6)
    assert float(variance) == pytest.approx(float(joint[-1, -1] - weights @ joint[:-1, -1]), rel=1e-6)


def test_without_repeats_there_is_no_effect_of_samples():
    x, _, y = _wave(15)
    assert not fit(Data.of(x, y, sample=np.arange(15))).form.samples


# limits of detection


def test_two_limits_equal_brute_force_integration():
    """Moments of the latent values at two censored rows and a measured one, by a two-dimensional integral."""
    form = Form((0,))
    theta = form.start(0.0, math.log(0.3))
    x = torch.tensor([[0.0], [0.3], [0.8]], dtype=torch.float64)
    y = torch.tensor([0.5, -0.2, 0.4], dtype=torch.float64)
    nothing = torch.zeros(3, dtype=torch.float64)
    rows = Rows(x, y, nothing + 1, nothing, torch.full((3,), -1), torch.arange(3.0))
    sided = torch.tensor([0, -1, 1])
    adjusted = with_sites(form, theta, rows, sided)
    at = torch.tensor([[0.5]], dtype=torch.float64)
    mean, variance = GaussianProcess(form, theta, adjusted, Scale(0.0, 1.0)).moments(at)

    joint = Rows(torch.cat([x, at]), *(torch.cat([v, v[:1]]) for v in (y, nothing, nothing, rows.sample, rows.order)))
    prior = covariance(form, theta, joint).numpy()
    noise = float(torch.exp(2 * theta[form.blocks["noise"]][0])) + FLOOR
    prior[:3, :3] += noise * np.eye(3)
    data, cross = prior[:3, :3], prior[:3, 3]
    density = stats.multivariate_normal(np.zeros(3), data)
    solve = np.linalg.solve(data, cross)
    left = prior[3, 3] - cross @ solve

    def moment(power: int) -> float:
        def integrand(b: float, a: float) -> float:
            centre = np.array([0.5, a, b]) @ solve
            return density.pdf([0.5, a, b]) * (1.0, centre, centre**2 + left)[power]

        return integrate.dblquad(integrand, -7.0, -0.2, 0.4, 7.0, epsabs=1e-8)[0]

    total = moment(0)
    expected = moment(1) / total
    assert float(mean) == pytest.approx(expected, abs=2e-3)
    assert float(variance) == pytest.approx(moment(2) / total - expected**2, rel=0.02)


def test_a_limit_that_says_nothing_changes_nothing():
    x, _, y = _wave(12)
    data = Data.of(np.vstack([x, [[0.5, 0.5]]]), [*y, 50.0], censored=[0] * 12 + [-1])
    form = Form.of(data, "matern")
    scale = Scale.of(y)
    rows = rows_of(data, scale)
    theta = form.start()
    adjusted = GaussianProcess(form, theta, with_sites(form, theta, rows, torch.from_numpy(data.censored)), scale)
    plain = GaussianProcess(form, theta, rows.take(torch.arange(12)), scale)
    np.testing.assert_allclose(adjusted.predict(x + 0.05).mean, plain.predict(x + 0.05).mean, atol=1e-3)


def test_a_limit_of_detection_does_not_bias():
    """Values below a limit are told as the limit: taken for exact they lift the low end, as limits they do not."""
    rng = np.random.default_rng(0)
    x = rng.random((60, 1))
    truth = 3 * x[:, 0] - 1.5
    y = truth + 0.1 * rng.normal(size=60)
    limit = -0.5
    below = y < limit
    told = np.where(below, limit, y)
    at = np.array([[0.05]])
    exact = fit(Data.of(x, told)).predict(at)
    censored = fit(Data.of(x, told, censored=np.where(below, -1, 0))).predict(at)
    assert exact.mean[0] > limit - 0.15
    assert censored.mean[0] < limit - 0.25
    assert abs(censored.mean[0] + 1.35) < 2.5 * censored.std[0]


def test_all_values_censored():
    x, _, y = _wave(6)
    belief = fit(Data.of(x, y, censored=[-1] * 3 + [1] * 3)).predict(x)
    assert np.isfinite(belief.mean).all()
    assert (belief.std > 0).all()


# uncertain inputs


def test_uncertain_inputs_cost_certainty_where_the_function_is_steep():
    rng = np.random.default_rng(0)
    truth = lambda x: np.where(x < 0.5, 0.0, 4 * (x - 0.5))  # noqa: E731
    asked = rng.random(60)
    y = truth(asked + 0.05 * rng.normal(size=60)) + 0.02 * rng.normal(size=60)
    exact = fit(Data.of(asked[:, None], y), spec=PLAIN)
    honest = fit(Data.of(asked[:, None], y, column_sem=np.full((60, 1), 0.05)), spec=PLAIN)
    assert honest.noise < 0.6 * exact.noise
    flat, steep = honest.noise_variance[asked < 0.4].mean(), honest.noise_variance[asked > 0.6].mean()
    assert steep > 4 * flat


def test_a_fraction_and_its_root_move_together():
    from surrogates.inputs import input_variance

    x = np.random.default_rng(0).random((20, 1))
    columns = np.hstack([x, np.sqrt(x)])
    model = GaussianProcess.fit(columns, 3 * x[:, 0])
    sem = torch.from_numpy(np.hstack([np.full_like(x, 0.01), 0.005 / np.sqrt(x)]))
    extra = input_variance(model, sem, ("fraction", "root_fraction"), ("x_Cu", "x_Cu")).sqrt() * model.scale.width
    inner = (x[:, 0] > 0.1) & (x[:, 0] < 0.9)
    np.testing.assert_allclose(extra.numpy()[inner], 0.03, rtol=0.1)


# wild values


@pytest.mark.parametrize("n", [8, 15, 40])
@pytest.mark.parametrize("size", [30.0, -1e5])
def test_one_wild_value_does_not_wreck_predictions(n, size):
    x, _, y = _wave(n, noise=0.05)
    wild = y.copy()
    wild[n // 2] += size
    at, truth, _ = _wave(200, seed=9)
    model = fit(Data.of(x, wild))
    clean = GaussianProcess.fit(np.delete(x, n // 2, 0), np.delete(y, n // 2))
    error = np.sqrt(np.mean((model.predict(at).mean - truth) ** 2))
    best = np.sqrt(np.mean((clean.predict(at).mean - truth) ** 2))
    assert error < 1.3 * best + 0.02
    assert "1 wild value not believed" in model.describe()


def test_a_wild_value_that_is_confirmed_is_believed_again():
    x, _, y = _wave(20, noise=0.02)
    y[10] += 3.0
    robust = Spec(outliers="robust", inference="map")
    first = fit(Data.of(x, y), spec=robust)
    assert first.state()["choice"]["wild"] == [10.0]
    again = np.vstack([x, x[[10, 10, 10]] + 0.001])
    second = fit(
        Data.of(again, [*y, y[10], y[10] + 0.02, y[10] - 0.03]), spec=robust, warm=json.loads(json.dumps(first.state()))
    )
    assert 10.0 not in second.state()["choice"].get("wild", [])
    assert second.predict(x[[10]]).mean[0] == pytest.approx(y[10], abs=0.5)


def test_clean_data_raise_few_alarms():
    alarms = 0
    for seed in range(30):
        x, _, y = _wave(20, noise=0.2, seed=seed)
        alarms += (
            "wild"
            in fit(Data.of(x, y), spec=Spec(outliers="robust", drift=False, noise="constant", inference="map")).state()[
                "choice"
            ]
        )
    assert alarms <= 3


def test_a_rare_good_catalyst_is_believed():
    """Most candidates do nothing, one in ten does: the few good values are what is looked for, not mistakes."""
    rng = np.random.default_rng(0)
    x = rng.random((40, 3))
    y = np.where(rng.random(40) < 0.1, rng.uniform(10, 40, 40), 0.2 * rng.random(40))
    model = fit(Data.of(x, y))
    assert "wild" not in model.state()["choice"]
    single = rng.normal(size=40)  # a needle in noise
    single[7] = 40.0
    assert "wild" not in fit(Data.of(x, single)).state()["choice"]
    assert fit(Data.of(x, single), spec=Spec(outliers="robust")).state()["choice"]["wild"] == [7.0]
    assert model.predict(x[[np.argmax(y)]]).mean[0] > 1.0


# drift


def test_drift_is_found_and_predictions_are_for_now():
    x, truth, y = _wave(40, noise=0.05)
    drifting = y + np.linspace(0, 2, 40)
    model = fit(Data.of(x, drifting))
    assert "drift" in model.describe()
    at, truth, _ = _wave(100, seed=5)
    belief = model.predict(at)
    assert np.sqrt(np.mean((belief.mean - (truth + 2.0)) ** 2)) < 0.25
    still = fit(Data.of(x, drifting), spec=PLAIN).predict(at)
    assert np.sqrt(np.mean((still.mean - (truth + 2.0)) ** 2)) > 0.5
    paths = model.path(2048, 0)(torch.from_numpy(at))
    np.testing.assert_allclose(paths.mean(0).numpy(), belief.mean, atol=0.05)
    np.testing.assert_allclose(paths.std(0).numpy(), belief.std, rtol=0.15)


def test_without_drift_none_is_seen():
    seen = 0
    for seed in range(10):
        x, _, y = _wave(30, seed=seed)
        seen += fit(Data.of(x, y)).form.drift
    assert seen <= 1


# uneven noise


def test_uneven_noise_is_found_and_even_noise_is_not():
    rng = np.random.default_rng(0)
    x = rng.random((120, 2))
    y = np.sin(5 * x[:, 0]) + (0.03 + 0.6 * x[:, 1] ** 2) * rng.normal(size=120)
    model = fit(Data.of(x, y))
    assert "noise differs" in model.describe()
    quiet, loud = model.predict([[0.5, 0.1], [0.5, 0.95]], noise=True).std
    assert quiet < 0.15
    assert 0.3 < loud < 0.9
    found = 0
    for seed in range(10):
        x, _, y = _wave(40, noise=0.2, seed=seed)
        found += "noise differs" in fit(Data.of(x, y)).describe()
    assert found <= 1


# the schedule


def test_hyperparameters_are_kept_until_the_data_have_grown():
    x, _, y = _wave(110)
    first = fit(Data.of(x[:100], y[:100]))
    state = json.loads(json.dumps(first.state()))
    assert len(json.dumps(state)) < 3000
    second = fit(Data.of(x[:104], y[:104]), warm=state)
    torch.testing.assert_close(second.theta, first.theta, rtol=0, atol=0)
    third = fit(Data.of(x, y), warm=second.state())
    assert not torch.equal(third.theta, first.theta)
    assert third.state()["searched"] == 110


def test_rows_can_be_appended():
    x, _, y = _wave(30)
    model = fit(Data.of(x[:25], y[:25]), spec=PLAIN)
    rest = model.extended(x[25:], y[25:], sem=np.full(5, 0.2))
    data = Data.of(x, y, sem=[0.0] * 25 + [0.2] * 5)
    whole = GaussianProcess(model.form, model.theta, rows_of(data, model.scale), model.scale)
    at = np.random.default_rng(1).random((9, 2))
    np.testing.assert_allclose(rest.predict(at).mean, whole.predict(at).mean, rtol=1e-9)
    np.testing.assert_allclose(rest.predict(at).std, whole.predict(at).std, rtol=1e-7)
    assert len(model.rows) == 25
