"""``python -m hookrl``: the command line."""

import sys

from hookrl.cli import main

sys.exit(main())
