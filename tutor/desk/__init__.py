"""The learner's desk: sheets in a folder, what was solved, hints, drills, and checking on every save."""
