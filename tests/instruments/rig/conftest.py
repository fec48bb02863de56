"""Makes the devices of these tests importable by name, here and in the guardians that the tests start."""

import sys
from pathlib import Path

HERE = str(Path(__file__).parent)

if HERE not in sys.path:
    sys.path.insert(0, HERE)
