"""`python -m gcahng`."""

from gcahng.cli import main

if __name__ == "__main__":
    main()
