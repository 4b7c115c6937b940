"""`python -m pdtutor` is `pdtutor`, for what starts modules: `torchrun … -m pdtutor run RECIPE`."""

from pdtutor.cli import main

if __name__ == "__main__":
    main()
