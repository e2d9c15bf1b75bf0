"""Entry point of ``deepfs`` and ``python -m deepfs``."""

import sys


def main() -> int:
    """Run the command; print one line and return 2 if the kernels cannot be loaded."""
    try:
        from .cli import main as run
    except ImportError as error:  # for instance, kernels of the level in DEEPFS_ISA do not exist
        print(f"deepfs: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("deepfs: interrupted", file=sys.stderr)
        return 130
    return run()


if __name__ == "__main__":
    sys.exit(main())
