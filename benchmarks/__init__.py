"""The speeds this project claims, each against a plain baseline: `python -m benchmarks`, or `make bench`."""
