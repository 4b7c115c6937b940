"""The course itself: run the lessons, keep each .py and .ipynb in step, stamp them with the public address.

`python -m pdtutor.course --help` lists the commands; the Makefile's targets call them.
"""
