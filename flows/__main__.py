"""``python -m flows``: the command ``specmine`` where its script is not on the path."""

from flows.cli import main

if __name__ == "__main__":
    main()
