"""``python -m dtesx`` is the same as ``dtesx``."""

import sys

from dtesx.cli.main import main

sys.exit(main())
