"""Whether costs, shared samples and shared settings fit the search space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from acquisition.costs import Costs, check_costs
from acquisition.errors import SpaceError
from orchestrator.errors import CampaignError

if TYPE_CHECKING:
    from acquisition.space import SearchSpace


def check_stages(
    space: SearchSpace,
    replicates: str | int,
    costs: Costs | None,
    fixed: Sequence[str],
    conditions: object,
) -> tuple[str, ...]:
    """Check what a campaign says of costs, batches and samples; the columns that a batch shares.

    Raises:
        CampaignError: it does not fit the space, or replicates.
        ObjectiveError: costs of what is no parameter.
    """
    if costs is not None:
        if not isinstance(costs, Costs):
            raise CampaignError(f"{costs!r} are no costs.", field="costs", mend="Use Costs(experiment=40).")
        check_costs(costs, space)
    columns = _shared(space, fixed)
    if isinstance(conditions, bool) or not (
        conditions in (None, "auto") or (isinstance(conditions, int) and conditions >= 1)
    ):
        raise CampaignError(
            f"conditions_per_sample is {conditions!r}.",
            field="conditions_per_sample",
            mend="Use auto, or a whole number from 1.",
        )
    from acquisition.strategies.two_stage import preparation_columns

    prepared = preparation_columns(space)
    if conditions is not None and not prepared:
        raise CampaignError(
            "several conditions are to be measured on each sample, but no parameter fixes a sample.",
            field="conditions_per_sample",
            mend="Give the parameters of the sample the stage `preparation`.",
        )
    if conditions is not None and len(prepared) == len(space.columns):
        raise CampaignError(
            "several conditions are to be measured on each sample, but all parameters fix the sample.",
            field="conditions_per_sample",
            mend="Give the parameters that are set for each experiment the stage `condition`.",
        )
    making = [name for name in fixed if set(space.columns_named([name])) & set(prepared)]
    if conditions is not None and making:
        raise CampaignError(
            f"{making[0]!r} fixes the sample, so that a batch on open samples cannot share it.",
            field=f"fixed_within_batch.{list(fixed).index(making[0])}",
            mend="Name parameters of the stage `condition`.",
        )
    if isinstance(replicates, int) and replicates > 1 and (conditions is not None or columns):
        raise CampaignError(
            f"{replicates} replicates of each point do not go with "
            f"{'conditions_per_sample' if conditions is not None else 'fixed_within_batch'}.",
            field="replicates",
            mend="Use none or auto.",
        )
    return columns


def _shared(space: SearchSpace, names: Sequence[str]) -> tuple[str, ...]:
    """The columns of parameters or columns by their names."""
    if isinstance(names, str):
        raise CampaignError(f"fixed_within_batch is {names!r}, no list.", field="fixed_within_batch")
    for index, name in enumerate(names):
        try:
            space.columns_named([name])
        except SpaceError as unknown:
            raise CampaignError(
                f"{name!r} is no parameter of the space, nor one of its columns.",
                field=f"fixed_within_batch.{index}",
                mend=unknown.mend,
            ) from None
    columns = space.columns_named(names)
    if set(columns) >= set(space.columns):
        raise CampaignError(
            "all parameters are fixed within a batch.", field="fixed_within_batch", mend="Leave some to vary."
        )
    return columns
