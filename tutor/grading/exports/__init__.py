"""Grades in the formats of the systems that courses use, one file for each. Learners see what a `Feedback` says."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Format:
    """A system's format: what it is made from, what comes out, and where it is specified."""

    name: str  # of the command and of the file here
    reads: str  # "results": grades there are; "assignment": what grades on the system's own machines
    writes: str
    specification: str


FORMATS = (
    Format("csv", "results", "grades.csv, for Excel and pandas", "RFC 4180"),
    Format("canvas", "results", "the gradebook that Canvas exported, filled in", "Canvas: gradebook CSV"),
    Format("moodle", "results", "the grading worksheet that Moodle exported, filled in", "Moodle: mod_assign offline"),
    Format("gradescope", "assignment", "an autograder's zip", "gradescope-autograders.readthedocs.io"),
    Format("prairielearn", "assignment", "a question's folder", "PrairieLearn: docs/externalGrading"),
    Format("nbgrader", "assignment", "a source notebook", "nbgrader.readthedocs.io"),
    Format("otter", "assignment", "test files and a notebook that uses them", "otter-grader.readthedocs.io"),
)
