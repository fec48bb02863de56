"""What happens to the liquid of a cell after its electrolysis: a sample for an analysis elsewhere, and rinsing."""

from __future__ import annotations

from instruments.errors import LabError
from instruments.rig.asking import ask
from instruments.rig.procedures.execution import Execution
from instruments.rig.procedures.options import Rinse, Sample
from instruments.rig.procedures.step import Site, Step
from instruments.rig.stock import MILLILITRE

MICROLITRE = 1e9


def sample_step(options: Sample, site: Site) -> Step:
    """Fill a vial, and hand it over with its label.

    Raises:
        LabError: nobody analyses it.
    """
    if not site.has("handoff"):
        raise LabError(
            "a sample is to be taken, and nothing says who analyses it.", field="shared.handoff", mend="Name it."
        )
    source = options.source.get(site.name)
    by_robot = source is not None and site.has("robot")
    declared = site.program.stock.items()
    volume = options.volume.value * MICROLITRE
    needs = {name: 1.0 for name in ("vials", "tips") if name in declared and (name == "vials" or by_robot)}

    def act(run: Execution) -> None:
        with run.take(needs) as taken:
            vial = next(iter(taken.get("vials", ())), "")
            if by_robot:
                robot = run.device("robot")
                run.during(lambda stop: robot.transfer(source, vial, volume, cancelled=stop))
            label = run.device("handoff").hand_over(
                campaign=run.job.campaign,
                experiment=run.job.experiment,
                attempt=run.context.attempt,
                sample=run.context.sample,
            )
            run.label_of_vial = label.text
            if not by_robot:
                ask(run, f"Take a sample from {run.cell} into vial {vial} with the label {label.text}.")

    return Step(
        "sample",
        "non-repeatable",
        act,
        (site.sets("robot", volume),) if by_robot else (),
        60.0,
        takes=needs,
        leases=site.leases(["handoff", *(["robot"] if by_robot else [])]),
        says=f"{volume:g} uL for {', '.join(options.products)}",
    )


def rinse_step(options: Rinse, site: Site) -> Step:
    """Pump rinse through the cell.

    Raises:
        LabError: there is no pump for it.
    """
    amount = options.volume.value * MILLILITRE * options.times
    seconds = 60.0 * amount / options.rate
    known = site.program.stock.items()
    needs = {name: amount for name in ("rinse", "waste") if name in known}

    def act(run: Execution) -> None:
        with run.take(needs):
            run.set("rinse_pump", options.rate)
            run.wait(seconds)
            run.set("rinse_pump", 0.0)

    return Step(
        "rinse",
        "idempotent",
        act,
        (site.sets("rinse_pump", options.rate), site.sets("rinse_pump", 0.0)),
        seconds,
        needs,
        closing=True,
        says=f"{amount:g} mL",
    )
