"""What a student is asked to match: which checkpoint teaches when, with what loss, and the targets that come of it."""
