"""``python -m benchmark``."""

from benchmark.cli import main

# Worker processes import the main module too.
if __name__ == "__main__":
    main()
