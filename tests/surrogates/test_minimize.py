"""The batched optimiser: every member reaches its own minimum."""

import torch

from surrogates.minimize import minimize


def test_rosenbrock_from_many_starts():
    def rosenbrock(x):
        return (1 - x[:, 0]) ** 2 + 100 * (x[:, 1] - x[:, 0] ** 2) ** 2

    start = torch.tensor([[-1.2, 1.0], [0.0, 0.0], [2.0, 2.0], [-2.0, -2.0]], dtype=torch.float64)
    result = minimize(rosenbrock, start, iterations=400, tolerance=1e-14)
    torch.testing.assert_close(result.x, torch.ones_like(start), atol=1e-4, rtol=0)


def test_members_do_not_influence_each_other():
    def bowls(x):  # the third coordinate stays where it is and says which bowl a member is in
        bowl = x[:, 2].detach()
        return 10.0**bowl * (x[:, :2] - 3.0).square().sum(-1)

    start = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 4.0], [0.0, 0.0, -3.0]], dtype=torch.float64)
    together = minimize(bowls, start, tolerance=1e-12).x
    torch.testing.assert_close(together[:2, :2], torch.full((2, 2), 3.0, dtype=torch.float64), atol=1e-4, rtol=0)
    alone = minimize(bowls, start[:1], tolerance=1e-12).x
    torch.testing.assert_close(together[:1], alone)


def test_walls_of_infinity_are_not_entered():
    def walled(x):
        return torch.where(x[:, 0] > 0, x[:, 0] - x[:, 0].log(), torch.full_like(x[:, 0], torch.nan))

    result = minimize(walled, torch.tensor([[5.0], [0.01]], dtype=torch.float64), iterations=200, tolerance=1e-12)
    torch.testing.assert_close(result.x, torch.ones(2, 1, dtype=torch.float64), atol=1e-3, rtol=0)


def test_never_worse_than_the_start():
    start = torch.tensor([[0.0]], dtype=torch.float64)
    result = minimize(lambda x: -x[:, 0].abs() * torch.nan, start)
    assert torch.equal(result.x, start)


def test_given_gradients_are_used_and_only_moving_members_are_asked():
    asked = []

    def bowl(x):
        asked.append(len(x))
        return (x - 1.0).square().sum(-1), 2.0 * (x - 1.0)

    result = minimize(bowl, torch.tensor([[1.0, 1.0], [9.0, -5.0]], dtype=torch.float64), tolerance=1e-10)
    torch.testing.assert_close(result.x, torch.ones(2, 2, dtype=torch.float64))
    assert asked[0] == 2
    assert asked[-1] == 1
