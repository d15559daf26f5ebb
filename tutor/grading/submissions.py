"""What was handed in, whichever way: a folder, a zip, or one file, as one `Submission` after another.

| what lies there | whose it is |
|---|---|
| `lee01/x.py`, `lee01/attempt-2/x.py` | the folder's: an id, or anything else that the roster has. Below it, folders that end in a number are attempts in that order; what lies beside them comes first |
| `lee01.py`, `lee01_q1.py`, `lee01-2.md` | with a roster the longest id, else alias, that the name begins with, up to one of `_ - .` or a space; without one what stands before the first `_`. `attempt2` or `v2` at the end is an attempt; other numbers are not |
| `Ann Lee_12345_assignsubmission_file/x.py` | Moodle's, unpacked or not (`systems.py`) |
| `leeann_LATE_4711_8801_x-1.py` | Canvas's, where more than half of the files at the top are called so; `-1` is the second attempt |
| `submission_456/x.py` and `submission_metadata.yml` | Gradescope's; a file of a group is each member's |
| a single file | its name's |

One folder around all of this does not count, if it is called `submissions`, `answers` or `class...`, is one that a system
makes, or holds learners of the roster and is none itself.

Every file gives one submission for each who handed it in, or is passed over: what tools leave behind
(`places.PASSED_OVER`), Gradescope's list, and a README or a statement without an answer that comes with sheets.
"""  # noqa: E501

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import groupby
from os.path import splitext
from pathlib import Path

from tutor.answers.documents import kind_of, most
from tutor.errors import NotFoundError, UsageError
from tutor.grading import systems
from tutor.grading.learners import Roster
from tutor.grading.model import NOBODY, Problem, Submission
from tutor.grading.places import Archive, Disk, File, Place, Refused, natural, shown
from tutor.language import said

SHEETS = (".py", ".txt", ".md", ".markdown", ".tex", ".ipynb")
ARCHIVES = (".zip", ".7z", ".rar", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst")
OURS = ("readme", "statement")  # stems of what a bundle holds beside the sheets

_ATTEMPT = re.compile(r"(?:^|[_\-. ])(?:attempt|try|resubmission|v)[_\-. ]?([1-9][0-9]{0,3})$", re.I)
_NUMBERED = re.compile(r"[0-9]$")
_AROUND = re.compile(r"(submissions|answers|class)\b.*", re.I | re.S)
# a gradient on the left, and on the right something other than the dots of a blank sheet; also in a notebook's JSON
_ANSWERED = re.compile(
    rb"""^[ \t>"$]*+(?:d[A-Za-z]\w*+|grad_\w++|\w++\.grad|\\frac|\\nabla|\\partial)[^=\n]*+=(?!=|[ \t]*\.\.\.)""", re.M
)
_NONE: Mapping[str, str] = {}  # shared, and never written to
_BOM = b"\xef\xbb\xbf"


def collect(source: str | Path, roster: Roster | None = None) -> Iterator[Submission]:
    """What was handed in, by learner, attempt and name in their natural order; NotFoundError where there is no source.

    Nothing stops it: what cannot be taken is a submission with a problem, and often without data. One that belongs to
    nobody, as a damaged archive, has `NOBODY` for a learner.
    """
    source = Path(source)
    try:
        source.stat()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise NotFoundError(
            said("cannot open {source}: {reason}; give a folder, a zip, or a sheet", source=source, reason=reason)
        ) from None
    return _collected(source, roster)


def of_one(folder: Path, learner: str) -> Iterator[Submission]:
    """All that lies in a folder, as one attempt of a learner's; Refused where the folder cannot be read."""
    with Disk.opened(folder) as place:
        yield from _of_learner(place, [_Claim(name, learner, attempt=1) for name, _ in place.top()])


def apart(source: Path, results: Path) -> None:
    """Results among what was handed in would be taken for a learner's the next time."""
    if results.resolve().is_relative_to(source.resolve()):
        raise UsageError(
            said("{output} lies in {submissions}, where it would be graded itself: give another folder with -o",
                 output=results, submissions=source)
        )  # fmt: skip


def _collected(source: Path, roster: Roster | None) -> Iterator[Submission]:
    try:
        with _opened(source) as place:
            place = _inside_what_is_around(place, roster)
            yield from _of_nobody(place)
            claims = sorted(_claims(place, roster), key=lambda claim: natural(claim.learner))
            for _, same in groupby(claims, key=lambda claim: claim.learner):
                yield from _of_learner(place, list(same))
    except Refused as refused:
        name = shown(source.name)
        yield Submission(NOBODY, 1, name, None, (refused.problem,))


@contextmanager
def _opened(source: Path) -> Iterator[Place]:
    if source.is_dir():
        with Disk.opened(source) as folder:
            yield folder
    elif _is_archive(source):
        with Archive.opened(source) as archive:
            yield archive
    else:
        file = source.resolve()
        with Disk.opened(file.parent) as folder:
            yield _Single(source.name, folder, file.name)


def _is_archive(source: Path) -> bool:
    if not source.is_file():
        return False
    if source.suffix.lower() == ".zip":
        return True
    try:
        with source.open("rb") as file:
            return file.read(4) in (b"PK\3\4", b"PK\5\6") and source.suffix.lower() not in SHEETS
    except OSError:
        return False


class _Single:
    """One file as a place, wherever a link to it stands."""

    def __init__(self, name: str, folder: Disk, own: str):
        self.name, self.around, self._folder, self._own = name, 0, folder, own

    def top(self) -> list[tuple[str, bool]]:
        return [(self.name, False)]

    def below(self, name: str) -> Iterator[File]:
        return (replace(file, parts=(name,)) for file in self._folder.below(self._own))

    def strays(self) -> Iterator[File]:
        return iter(())

    def inside(self, name: str) -> Place:
        return self

    def stream(self, name: str) -> None:
        return None


# -- whose it is -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Claim:
    """What lies below a name at the top, as one learner's."""

    top: str
    learner: str
    person: str = ""
    aliases: Mapping[str, str] = field(default_factory=lambda: _NONE)
    problems: tuple[Problem, ...] = ()
    attempt: int | None = None  # None: the folders below it say
    own: str = ""  # how the learner called the file, where `top` is one
    typed: str = ""  # the system in which it was typed in
    beside: bool = False  # beside what learners handed in


def _inside_what_is_around(place: Place, roster: Roster | None) -> Place:
    for _ in range(3):
        top = place.top()
        if len(top) != 1 or not top[0][1]:
            break
        name = top[0][0]
        inner = place.inside(name)
        if not _is_around(name, inner, roster):
            break
        place = inner
    return place


def _is_around(name: str, inner: Place, roster: Roster | None) -> bool:
    if systems.moodle(name):
        return False
    if roster is not None and roster.find(name) is not None:
        return False
    names = [each for each, _ in inner.top()]
    if _AROUND.fullmatch(name) or systems.GRADESCOPE in names or any(systems.moodle(each) for each in names):
        return True
    if _is_canvas(inner.top()):
        return True
    return roster is not None and any(_known(each, is_folder, roster) for each, is_folder in inner.top())


def _known(name: str, is_folder: bool, roster: Roster) -> bool:
    return (roster.find(name) if is_folder else _begins(splitext(name)[0], roster)[0]) is not None


def _is_canvas(top: list[tuple[str, bool]]) -> bool:
    files = [name for name, is_folder in top if not is_folder]
    return 2 * sum(systems.canvas(name) is not None for name in files) > len(files)


def _claims(place: Place, roster: Roster | None) -> Iterator[_Claim]:
    """Who handed in what lies at the top."""
    top = place.top()
    listed = place.stream(systems.GRADESCOPE) if any(name == systems.GRADESCOPE for name, _ in top) else None
    exported: dict[str, systems.Exported] = {}
    if listed is not None:
        with listed:
            exported = systems.gradescope(listed)
    from_canvas = _is_canvas(top)
    earlier = {before: name for name, each in exported.items() for before in each.history}
    several = len(top) > 1
    for name, is_folder in top:
        named = systems.moodle(name)
        if named is None and from_canvas and not is_folder:
            named = systems.canvas(name)
        if listed is not None and name == systems.GRADESCOPE:
            continue
        if exported:
            yield from _of_group(name, exported, earlier, roster)
        elif named is not None and named.folder == is_folder:
            yield _of_system(name, named, roster)
        elif is_folder:
            learner = roster.find(name) or _begins(name, roster, "_")[0] if roster is not None else None
            yield _claim(name, learner, name, roster)
        else:
            yield _flat(name, roster, several)


def _flat(name: str, roster: Roster | None, several: bool) -> _Claim:
    """`lee01_q1.py`: the learner is called as the name begins, the rest is the learner's own."""
    stem, suffix = splitext(name)
    if several and stem.lower() in OURS:
        return replace(_claim(name, None, stem, roster, own=name), attempt=1, beside=True)
    found, rest = _begins(stem, roster) if roster is not None else (None, "")
    said_to_be = stem.partition("_")[0] or stem
    if found is None:
        rest = stem[len(said_to_be) :]
    again = _ATTEMPT.search(rest)
    own = rest.strip("_-. ")
    return replace(
        _claim(name, found, stem if roster is not None else said_to_be, roster, own=own + suffix if own else name),
        attempt=int(again[1]) if again else 1,
    )


def _begins(stem: str, roster: Roster, separators: str = "_-. ") -> tuple[str | None, str]:
    """The learner whose id, or else whose alias, is the longest with which a name begins, and what comes after."""
    ends = [n for n in range(min(len(stem), 4 * roster.longest), 0, -1) if n == len(stem) or stem[n] in separators]
    for find in (roster.find_id, roster.find):
        for end in ends:
            found = find(stem[:end])
            if found is not None:
                return found, stem[end:]
    return None, ""


def _of_system(name: str, named: systems.Named, roster: Roster | None) -> _Claim:
    learner = _whom(named, roster) if roster is not None else None
    aliases = {named.system: named.number} if named.number else {}
    made = _claim(name, learner, named.number or named.name, roster, named.name, aliases, own=named.file)
    return replace(made, attempt=named.attempt, typed=named.system if named.typed else "")


def _whom(named: systems.Named, roster: Roster) -> str | None:
    """Who that is on the roster. A number means nobody where the name is another's: each system counts for itself."""
    known = roster.find_in(named.system, named.number) if named.number else None
    if known is not None:
        return known
    by_number = roster.find_id(named.number) if named.number else None
    by_name = roster.find(named.name) or roster.find_squashed(named.name) if named.name else None
    if by_number is not None and by_name is not None:
        return by_name if by_number == by_name else None
    if by_number is not None and roster.may_be(by_number, named.name):
        return by_number
    return by_name


def _of_group(
    name: str, exported: dict[str, systems.Exported], earlier: dict[str, str], roster: Roster | None
) -> Iterator[_Claim]:
    """Each who handed it in. What came later names the earlier ones; those are there only if all were exported."""
    later = earlier.get(name) or earlier.get(name.removeprefix("submission_"))
    known = exported.get(name) or exported.get(splitext(name)[0])
    if later is not None and (known is None or not known.submitters):
        history = exported[later].history
        attempt = next(n for n, each in enumerate(history, 1) if name in (each, f"submission_{each}"))
        known = systems.Exported(exported[later].submitters, history[: attempt - 1])
    submitters = known.submitters if known is not None else ()
    attempt = 1 + len(known.history) if known is not None else 1
    seen: set[str] = set()
    for each in submitters:
        learner = roster.find(each.sid, each.email, each.name) if roster is not None else None
        aliases = {key: value for key, value in (("sid", each.sid), ("email", each.email)) if value}
        made = _claim(name, learner, each.sid or each.email or each.name or name, roster, each.name, aliases)
        if made.learner not in seen:
            seen.add(made.learner)
            yield replace(made, attempt=attempt)
    if not seen:
        yield replace(_claim(name, None, name, roster), attempt=attempt)


def _claim(
    top: str, learner: str | None, called: str, roster: Roster | None, person: str = "",
    aliases: dict[str, str] | None = None, own: str = "",
) -> _Claim:  # fmt: skip
    """`learner` is the roster's; `called` what the place says, for one who is not on it."""
    called = called or top
    safe = {key: shown(value) for key, value in aliases.items()} if aliases else _NONE
    if roster is None:
        return _Claim(top, shown(called), shown(person), safe, own=own)
    if learner is None:
        stranger = shown(called)
        while roster.find_id(stranger) is not None:  # never taken for the one who has that id
            stranger += " ?"
        return _Claim(top, stranger, shown(person), safe, (_unknown(stranger, person),), own=own)
    person = roster.learners[learner] or shown(person)
    return _Claim(top, learner, person, {**safe, **roster.aliases(learner)}, own=own)


def _unknown(called: str, person: str) -> Problem:
    name = f"{called} ({shown(person)})" if person and person != called else called
    return Problem(
        "unknown-learner",
        said(
            '"{name}" is nobody, or not one alone, on the roster: add the learner, or what they are called', name=name
        ),
    )


# -- what it is --------------------------------------------------------------------------------------------------


def _of_nobody(place: Place) -> Iterator[Submission]:
    found = sorted(place.strays(), key=lambda file: natural(file.parts[0]))
    yield from _distinct(
        Submission(NOBODY, 1, shown(file.parts[0]), None, (file.problem,) if file.problem else ()) for file in found
    )


def _of_learner(place: Place, claims: list[_Claim]) -> Iterator[Submission]:
    files = [each for claim in claims for each in _attempts(claim, place.below(claim.top))]
    if len(files) > 1:
        files.sort(key=lambda each: (each[0], [natural(part) for part in each[1].parts]))
    others = any(_is_sheet(file, claim) and not _is_ours(file, claim) for _, file, claim in files)
    made = (_taken(attempt, file, claim, others or claim.beside, place.around) for attempt, file, claim in files)
    yield from _distinct(each for each in made if each is not None)


def _distinct(submissions: Iterable[Submission]) -> Iterator[Submission]:
    """An archive may have a name twice: both are taken, and the second is called `x (2).py`."""
    seen: set[tuple[int, str]] = set()
    for each in submissions:
        name, count = each.name, 1
        while (each.attempt, name) in seen:
            count += 1
            stem, suffix = splitext(each.name)
            name = f"{stem} ({count}){suffix}"
        seen.add((each.attempt, name))
        if count > 1:
            problem = Problem(
                "duplicate", said("the archive has this name {count} times: pack it anew, each once", count=count)
            )
            each = replace(each, name=name, problems=(*each.problems, problem))
        yield each


def _attempts(claim: _Claim, files: Iterator[File]) -> list[tuple[int, File, _Claim]]:
    """Each file with its attempt: folders that end in a number, below those that all files lie in, are one each."""
    found = list(files)
    if claim.attempt is not None or len(found) == 1:
        return [(claim.attempt or 1, file, claim) for file in found]
    folders = [file.parts[:-1] for file in found]
    depth = _shared(folders)
    named = [folder[depth] if len(folder) > depth and _NUMBERED.search(folder[depth]) else "" for folder in folders]
    order = {name: number for number, name in enumerate(sorted(set(named), key=lambda n: (n != "", natural(n))), 1)}
    return [(order[name], file, claim) for name, file in zip(named, found, strict=True)]


def _shared(folders: list[tuple[str, ...]]) -> int:
    """How many folders all have in common, from the top."""
    if not folders:
        return 0
    low, high = min(folders), max(folders)
    return next((n for n, (one, other) in enumerate(zip(low, high, strict=False)) if one != other), len(low))


def _own(file: File, claim: _Claim) -> str:
    """How the learner called the file."""
    return claim.own or file.parts[-1]


def _suffix(name: str) -> str:
    return splitext(name)[1].lower()


def _is_typed(file: File, claim: _Claim) -> bool:
    return bool(claim.typed) and _suffix(file.parts[-1]) == ".html"


def _is_sheet(file: File, claim: _Claim) -> bool:
    return file.problem is None and (_suffix(file.parts[-1]) in SHEETS or _is_typed(file, claim))


def _is_ours(file: File, claim: _Claim) -> bool:
    return splitext(_own(file, claim))[0].lower() in OURS


def _taken(attempt: int, file: File, claim: _Claim, others: bool, around: int) -> Submission | None:
    """The submission that a file is; None where it is ours and comes back without an answer.

    A file is called the same, whether the class comes as a folder or as an archive with a folder around everything.
    """
    data, problem = _data(file, claim)
    if others and _is_ours(file, claim) and not (data and _ANSWERED.search(data)):
        return None
    problems = (*claim.problems, problem) if problem else claim.problems
    name = "/".join(shown(part) for part in file.parts[around:])
    return Submission(claim.learner, attempt, name, data, problems, claim.person, claim.aliases)


def _data(file: File, claim: _Claim) -> tuple[bytes | None, Problem | None]:
    if file.problem is not None:
        return None, file.problem
    name = file.parts[-1]
    typed = _is_typed(file, claim)
    if not typed and _suffix(name) not in SHEETS:
        return None, _no_sheet(name)
    try:
        data = file.read(_limit(_suffix(name)))
    except Refused as refused:
        return None, refused.problem
    if typed:
        data = systems.typed(data, claim.typed)
    return data, None if data.removeprefix(_BOM).strip() else _EMPTY


@lru_cache(maxsize=64)
def _limit(suffix: str) -> int:
    return most(kind_of(f"sheet{suffix}"))


_EMPTY = Problem("empty", said("there is nothing in it: hand in a sheet with lines"))


def _no_sheet(name: str) -> Problem:
    if _suffix(name) in ARCHIVES:
        return Problem(
            "not-a-sheet", said("an archive, which is not opened: hand in the sheets themselves, not packed")
        )
    kinds = ", ".join(SHEETS)
    return Problem("not-a-sheet", said("no sheet, and not read: hand in one of {kinds}", kinds=kinds))
