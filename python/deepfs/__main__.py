"""``python -m deepfs`` is the command ``deepfs``."""

import sys

from .cli import main

sys.exit(main())
