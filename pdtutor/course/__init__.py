"""The course itself: run the lessons, keep each .py and .ipynb in step, write the public address into them.

`python -m pdtutor.course --help` lists the commands; the Makefile's targets call them.
"""
