"""Bringing a sample into its cell: by a robot's action, or by a person who is asked."""

from __future__ import annotations

from instruments.errors import LabError
from instruments.rig.asking import ask
from instruments.rig.mounted import Mounted
from instruments.rig.procedures.execution import Execution
from instruments.rig.procedures.options import Mount
from instruments.rig.procedures.step import Request, Site, Step
from instruments.rig.recipes import Preparation


def mount_step(options: Mount, made: Preparation | None, request: Request, site: Site) -> Step:
    """The step that ends with the sample in its cell.

    Raises:
        LabError: a robot is to do it, and there is none.
    """
    needs: dict[str, float] = {}
    if made is None and site.program.stock.blanks is not None:
        needs["blanks"] = 1.0  # a sample that is not made here is taken as it is
    if options.by == "robot" and not site.has("node"):
        raise LabError("a robot is to mount samples, and there is no node.", field="shared.node", mend="Name it.")

    def act(run: Execution) -> None:
        run.rig_state(Mounted())
        with run.take(needs) as taken:
            place = next(iter(taken.get("blanks", ())), run.blank)
            if options.by == "robot":
                words = {"cell": run.cell, "sample": request.sample, "place": place}
                arguments = {name: text.format(**words) for name, text in options.arguments.items()}
                run.device("node").call(options.action, **arguments)
            else:
                where = f" from {place}" if place else ""
                ask(run, f"Mount sample {request.sample}{where} in {run.cell}.")
        run.rig_state(run.prepared or Mounted(request.sample))

    return Step(
        "mount",
        "needs-inspection",
        act,
        seconds=options.seconds,
        takes=needs,
        leases=site.leases(["node"]) if options.by == "robot" else (),
        kept=True,
        says=f"by {options.by}",
    )
