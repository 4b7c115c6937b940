"""The one training loop, what it runs on, and what it leaves."""
