"""Makes ``docs/reference/validation.md`` and its pictures anew: ``make validation``.

Every number of the page is computed here; a test computes them again and compares.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from drawing import pictures
from optima import optima, shifted
from quality import faulty, healthy
from sections import conservation, equilibrium, film, hori, kuhl, order_of_products, series

DOCS: Final = Path(__file__).resolve().parents[1]

TEMPLATE: Final = """# Validation of the virtual laboratory

This page is made by `make validation` from the model as it is; a test compares its numbers with the code. Published
numbers and their sources stand in [`simulators/published.py`](../../simulators/published.py).

Two kinds of agreement are kept apart. **Calibration**: three to five constants for each metal were fitted to Hori's
table, copper's also to Kuhl's curves, so that agreement there says that the equations can hold the data, no more.
**Checks**: nothing was fitted to the trends further below. Descriptors of sp metals, cation factors, rates of ageing,
sizes of noise and all alloy synergy are *simulator parameters*: chosen for their order of magnitude or to make a
benchmark worth running, never literature values.

## Calibration: Hori's metals

Polycrystalline metals in 0.1 M KHCO3 at 18.5 degrees Celsius; Hori et al., Electrochim. Acta 1994, 39, 1833. The model
holds the published current (j in mA cm-2). Efficiencies in per cent, *published / model*, the published ones made to
sum to 100 (in palladium's row the charge that went into absorbed hydrogen is missing). Tolerances: 3 % (copper 6 %) and
20 mV, and the major product the same. Mercury (HCOO- 99.5 %) and thallium (HCOO- 95.1 %) are in Hori's table, but not
in the model. For bismuth, CO 3 % and H2 20 % were assumed.

{hori}

![Hori's metals: published efficiencies beside the model's](../pictures/validation-hori.svg)

## Calibration: copper over potential

Kuhl et al., Energy Environ. Sci. 2012, 5, 7050: polycrystalline copper in 0.1 M KHCO3.

{kuhl}

{order}

![Copper over potential: Kuhl's points and the model's curves](../pictures/validation-kuhl.svg)

Known deviation: below 1 mA cm-2 (-0.7 to -0.9 V) the model makes too much hydrogen and too little CO.

## Checks: trends that nothing was fitted to

The last column judges the trend, not the numbers.

{series}

Known deviations: methane does not rise with the concentration of bicarbonate; a little platinum, palladium or gallium
in copper acts more strongly than in experiments.

![A copper gas-diffusion electrode over current in two electrolytes](../pictures/validation-gde.svg)

## The film of an H-cell

The boundary layer is in closed form. Beside it, *numerical solution / film*: the boundary value problem of diffusion
and reaction of CO2, HCO3-, CO3-- and OH-. Tolerances: 0.05 in pH, 1.2 mol m-3.

{film}

## Conservation

Random alloys of six metals under random conditions, without noise. *Charge*: largest deviation of the sum of all
efficiencies from 1; *carbon*: of the carbon in products from the CO2 consumed, relative; *current*: of the held
current, relative. What is converted and what leaves as carbonate together never exceed the feed.

{conservation}

No product forms above its equilibrium potential:

{equilibrium}

## Where the optima lie

By brute force (`python benchmarks/optima.py`: a lattice over the whole space, then ever closer looks around its best
points). An optimum at a corner of the composition simplex would make a useless benchmark. In the world `null` metals
do not feel one another: there the best composition is a pure metal, and a strategy that reports a synergy has made it
up.

{optima}

{shifted}

## Quality control

Runs of the simulated laboratory with raw signals. Without faults: random points at which an H-cell carries 1 to 50 mA
cm-2. An alarm there is false unless the run really is poor: the ohmic drop of a badly conducting electrolyte at a high
current is uncertain indeed. With a fault: the best point of the chemistry, with one gross error each. At least 95 % of
them should be found, and at most 2 % of healthy runs be blamed.

{healthy}

{faulty}
"""


def page() -> str:
    """The page's text."""
    return TEMPLATE.format(
        hori=hori(),
        kuhl=kuhl(),
        order=order_of_products(),
        series=series(),
        film=film(),
        conservation=conservation(),
        equilibrium=equilibrium(),
        optima=optima(),
        shifted=shifted(),
        healthy=healthy(),
        faulty=faulty(),
    )


def main(docs: Path = DOCS) -> None:
    """Write page and pictures."""
    (docs / "reference" / "validation.md").write_text(page(), encoding="utf-8")
    pictures(docs / "pictures")
    sys.stdout.write("docs/reference/validation.md and its pictures are made.\n")


if __name__ == "__main__":
    main()
