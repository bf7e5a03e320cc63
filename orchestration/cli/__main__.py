"""`python -m orchestration.cli`: runs the command where the environment is not activated."""

from orchestration.cli import main

if __name__ == "__main__":
    main()
