"""The campaign file that ``sabatier init`` writes: it runs as it is, in the simulated laboratory."""

from __future__ import annotations

from typing import Final

_TEMPLATE: Final = """\
# A Sabatier campaign. It runs as it is:   sabatier run {name}.yaml
# Check a change without running it:       sabatier validate {name}.yaml

name: {name}        # letters, digits and . _ -
seed: 0             # the same seed and the same results make the same proposals

# What may be varied. Stage `preparation` fixes the electrode, `condition` (the default) is set for each experiment.
# Other types: integer {{low, high}}, discrete {{values: [25, 40, 60]}}, categorical {{values: [Li, Na, K, Cs]}}.
space:
  parameters:
    # Mole fractions that sum to 1, in the columns x_Cu, x_Ag, x_Zn and x_Al, rounded to what can be weighed in.
    - {{type: composition, name: x, components: [Cu, Ag, Zn, Al], step: 0.01, stage: preparation}}
    - {{type: continuous, name: potential, low: -1.5, high: -0.5, unit: V vs RHE}}
  # constraints:                          # optional: bounds on sums of columns
  #   - {{type: linear, coefficients: {{x_Cu: 1.0}}, lower: 0.2}}
  #
  # Candidates from a file instead of parameters: only its rows are proposed.
  # pool: plate.csv
  # parameters: [ni_load, fe_load]

# What to reach: maximize, minimize, or target with `target: value` or `target: [low, high]`.
# Faradaic efficiencies (fe_co, fe_c2h4, fe_h2, ...) are fractions, current densities (j_...) positive, in mA cm-2.
objectives:
  - {{metric: fe_c2h4, goal: maximize}}
# outcome_constraints:                    # optional: bounds that a result must keep
#   - {{metric: fe_h2, upper: 0.3}}

# How the next experiment is chosen: `initial` experiments fill the space evenly, then a model proposes.
strategy: {{name: auto, initial: 8}}

# Who executes it. A table of your own answers with
#   lab: {{type: replay, table: data.csv, columns: {{fe_co: FE_CO}}, units: {{fe_co: percent}}}}
lab: {{type: simulated, chemistry: cu_alloys}}

stop: {{experiments: 25}}                   # the budget
"""


def template(name: str = "my-campaign") -> str:
    """The text of a commented campaign file.

    Args:
        name: the campaign's name, also that of its file; it must be a valid one.
    """
    return _TEMPLATE.format(name=name)
