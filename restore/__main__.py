"""``python -m restore``: see ``restore/cli``."""

import sys

from restore.cli.command_line import main

if __name__ == "__main__":
    sys.exit(main())
