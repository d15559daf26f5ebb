"""Graded assignments: what is handed out, what comes in, what is earned. Answers are read, never executed."""
