"""`python -m kdcli` is `kd`."""

import sys


def main() -> int:
    """Run the command line; Ctrl-C counts from the first import on."""
    try:
        from kdcli.cli import main as kd
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        return 130
    return kd()


if __name__ == "__main__":
    sys.exit(main())
