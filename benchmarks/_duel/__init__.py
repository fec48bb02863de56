"""What the duels share: questions, players, records, statistics.

A duel puts the same question to several strategies, ours and those of other packages, with the same seeds, and says by
how much they differ. ``python benchmarks/NAME.py --help`` tells the options, which are the same for all.
"""

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")  # before numpy and torch are imported: seconds are of one thread for everybody
