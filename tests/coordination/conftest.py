"""Makes the simulator importable: it is shared by tests and by the script `simulate.py`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
