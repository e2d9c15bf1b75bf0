"""What ``deepfs`` and ``python -m deepfs`` start: the command, once it can be imported."""

import sys


def main() -> int:
    """Run the command; return 2 after one line if this machine cannot load it."""
    try:
        from .cli import main as run
    except ImportError as error:  # kernels that are not there, such as those DEEPFS_ISA asks for
        print(f"deepfs: error: {error}", file=sys.stderr)
        return 2
    return run()


if __name__ == "__main__":
    sys.exit(main())
