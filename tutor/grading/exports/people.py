"""Who a row of a system's file is: by an id, an e-mail address or a name that belongs to one learner alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tutor.grading.learners import key, turned
from tutor.language import said

SYSTEMS = ("canvas", "moodle", "gradescope")  # an alias of these is a number of that system, and says nothing elsewhere


class Unclear(Exception):
    """A row that is not certainly one learner's."""

    def __init__(self, learners: set[str]):
        super().__init__(str(said("it may be {learners}", learners=", ".join(sorted(learners)))))
        self.learners = learners


class People:
    """Learners by what they are called: `find(system="4711", ids=["jdoe"], names=["Jane Doe"])`."""

    def __init__(self, people: Iterable[tuple[str, str, Mapping[str, str]]], system: str):
        self._system: dict[str, set[str]] = {}
        self._ids: dict[str, set[str]] = {}
        self._names: dict[str, set[str]] = {}
        for learner, person, aliases in people:
            self._add(self._ids, learner, learner)
            self._add(self._names, turned(person), learner)
            for kind, value in aliases.items():
                if kind == system:
                    self._add(self._system, value, learner)
                elif kind not in SYSTEMS:
                    self._add(self._ids, value, learner)

    @staticmethod
    def _add(table: dict[str, set[str]], called: str, learner: str) -> None:
        if key(called):
            table.setdefault(key(called), set()).add(learner)

    def find(self, system: str = "", ids: Iterable[str] = (), names: Iterable[str] = ()) -> str | None:
        """The one learner; None where nobody is called so, Unclear where several are.

        The system's own number counts before ids, and ids before names. What is no one's alone, as a section is, is no
        id; a name that several people have is theirs all the same, and decides nothing.
        """
        found = self._of(self._system, [system], alone=True) or self._of(self._ids, ids, alone=True)
        found = found or self._of(self._names, map(turned, names), alone=False)
        if len(found) > 1:
            raise Unclear(found)
        return next(iter(found), None)

    @staticmethod
    def _of(table: dict[str, set[str]], called: Iterable[str], alone: bool) -> set[str]:
        owners = (table.get(key(each), set()) for each in called)
        return {learner for own in owners if not alone or len(own) == 1 for learner in own}
