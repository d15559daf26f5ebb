"""`python -m tutor`, and the command `tutor`."""

import sys


def run() -> None:
    """The command line; an interrupt while it is still being imported is one as well."""
    try:
        from tutor.cli import run as run_command

        run_command()
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(130)


if __name__ == "__main__":
    run()
