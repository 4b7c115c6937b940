"""`python -m pdtutor` does what `pdtutor` does, for launchers of modules: `torchrun … -m pdtutor run RECIPE`."""

from pdtutor.cli import main

if __name__ == "__main__":
    main()
