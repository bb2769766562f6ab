"""``python -m loadr`` is ``loadr``."""

import sys

from loadr.cli import main

if __name__ == "__main__":
    sys.exit(main())
