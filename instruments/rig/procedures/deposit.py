"""How a sample is made and brought into its cell: volumes by the recipe, a blank to put them on, and the mounting."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from instruments.errors import LabError
from instruments.lab import Parameters
from instruments.rig.mounted import Mounted
from instruments.rig.procedures.execution import Execution
from instruments.rig.procedures.step import Request, Site, Step
from instruments.rig.recipes import Preparation, prepare

if TYPE_CHECKING:
    from instruments.rig.procedures.options import ElectrolysisOptions

TRANSFER = 20.0
"""s that a liquid handler takes for one dispense, about."""


def preparation(parameters: Parameters, site: Site) -> Preparation | None:
    """How the composition in the settings is made; ``None`` where they ask for none.

    Raises:
        RecipeError: it cannot be made.
        LabError: the rig has no recipe.
    """
    recipe, stock = site.program.recipe, site.program.stock
    if recipe is None:
        return None
    composition = recipe.composition(parameters)
    return None if composition is None else prepare(recipe, stock, composition)


def deposit_steps(options: ElectrolysisOptions, request: Request, site: Site) -> Iterable[Step]:
    """The steps before the cell is closed; none where the sample is mounted already, or nothing is made here."""
    mounted = site.mounted
    if mounted is not None and mounted.sample == request.sample and request.sample and not mounted.spoiled:
        return
    made = preparation(request.parameters, site)
    if made is not None:
        yield _prepare(made, request, site, last=options.mount.by == "none")
    if options.mount.by != "none":
        from instruments.rig.procedures.mounting import mount_step

        yield mount_step(options.mount, made, request, site)


def executed_columns(made: Preparation, request: Request, site: Site) -> tuple[dict[str, float], dict[str, float]]:
    """The composition as made, in the columns of the search space, with standard uncertainties."""
    recipe = site.program.recipe
    prefix = "x" if recipe is None else recipe.prefix
    asked = [name for name in request.parameters if name.startswith(f"{prefix}_")]
    executed = {name: round(made.executed.get(name.removeprefix(f"{prefix}_"), 0.0), 9) for name in asked}
    sems = {name: made.executed_sem.get(name.removeprefix(f"{prefix}_"), 0.0) for name in asked}
    return executed, sems


def _prepare(made: Preparation, request: Request, site: Site, *, last: bool) -> Step:
    """Dispense; the robot is held until all is done."""
    stock = site.program.stock
    if not site.has("robot"):
        raise LabError(
            "a composition is asked for, and there is no robot to make it.",
            field="shared.robot",
            mend="Name the liquid handler.",
        )
    places = {f"precursors.{name}": one.place or "" for name, one in stock.precursors.items()}
    if stock.solvent is not None:
        places["solvent"] = stock.solvent.place or ""
    needs = made.needs(stock)
    if stock.blanks is not None:
        needs["blanks"] = 1.0

    def act(run: Execution) -> None:
        run.rig_state(Mounted())  # whatever was there is no sample any more, once this has begun
        robot = run.device("robot")
        with run.take(needs) as taken:
            where = {**places, **_vessels(made, taken), "electrode": _electrode(run, taken)}
            for dispense in made.dispenses:
                _transfer(run, robot, where[dispense.source], where[dispense.target], dispense.volume)
        executed, sems = executed_columns(made, request, site)
        run.prepared = Mounted(request.sample, executed, sems)
        if last:
            run.rig_state(run.prepared)

    what = ", ".join(f"{fraction:.4g} {element}" for element, fraction in made.executed.items())
    return Step(
        "prepare composition",
        "needs-inspection",
        act,
        sets=tuple(site.sets("robot", volume) for volume in sorted({each.volume for each in made.dispenses})),
        seconds=TRANSFER * len(made.dispenses),
        takes=needs,
        leases=site.leases(["robot"]),
        kept=True,
        says=f"{what} in {made.volume:g} uL",
    )


def _transfer(run: Execution, robot: Any, source: str, target: str, volume: float) -> None:
    run.during(lambda stop: robot.transfer(source, target, volume, cancelled=stop))


def _vessels(made: Preparation, taken: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Places of the wells that are used."""
    wells = taken.get("vessels", ())
    if len(wells) < len(made.vessels):
        raise LabError(
            "nothing says in which wells a deposit is mixed.",
            field="stock.vessels",
            mend="Give `stock.vessels` with places.",
        )
    return dict(zip(made.vessels, wells, strict=False))


def _electrode(run: Execution, taken: Mapping[str, tuple[str, ...]]) -> str:
    """Where the deposit goes: a blank on the robot's deck, or the electrode in the open cell.

    Raises:
        LabError: nothing says.
    """
    blanks = taken.get("blanks", ())
    run.blank = blanks[0] if blanks else run.site.block.seat or ""
    if not run.blank:
        raise LabError(
            f"nothing says where the electrode of {run.cell} is.",
            field=f"cells.{run.cell}.seat",
            mend="Give its `seat`, or `stock.blanks` with places.",
        )
    return run.blank
