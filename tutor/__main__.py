"""`python -m tutor`"""

from tutor.cli import run

if __name__ == "__main__":
    run()
