"""What a student is asked to match: labels, or what a teacher's checkpoints predict.

`schedule.py` says which checkpoint teaches when, `losses.py` what the loss is, and `supervision.py` joins the two.
`timetable.py`, `teachers.py` and `targets.py` turn this into the targets of every update, for all copies of a student.
`stored/` keeps a teacher's predictions on disk.
"""
