"""How Moodle, Canvas and Gradescope name what they export, and the HTML of what was typed there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import unescape
from typing import IO, Any

GRADESCOPE = "submission_metadata.yml"
MOST_SUBMITTERS = 100  # of one submission
MOST_EXPORTED = 500_000  # submissions that a list of Gradescope's names

# `Ann Lee_12345_assignsubmission_file/x.py`, with a _ at the end of the folder's name up to Moodle 3; without folders,
# `Ann Lee_12345_assignsubmission_file_x.py`. The name has no underscores: `str_replace('_', ' ', $fullname)`. A team is
# `Team_678_...`, those without a team have no number. Blind marking says Participant for the name.
# moodle/moodle: mod/assign/classes/downloader.php, get_student_prefix and load_submissionplugin_filelist
_MOODLE = re.compile(
    r"(?P<name>[^_]*)(?:_(?P<number>\d+))?_assignsubmission_(?P<plugin>[a-z]+)(?:_(?P<file>.*))?", re.S
)
# what was typed in is a page that Moodle makes: mod/assign/submission/onlinetext/locallib.php, get_files
_TYPED = "onlinetext"

# `leeann_LATE_4711_8801_x.py`: the sortable name without what is no letter, the user, the attachment, and its name;
# `leeann_4711_text.html` is what was typed in, `_link.html` an address. Where people are not to be known,
# `LATE_anon_aB12c_8801_x.py`. instructure/canvas-lms: lib/content_zipper.rb, get_filename and add_upload_submission
_REST = r"_(?:(?P<attachment>\d+)_(?P<file>.+)|(?P<entry>text|link)\.html)"
_CANVAS = (
    re.compile(rf"(?:LATE_)?(?P<number>anon_[0-9A-Za-z]{{5}}){_REST}", re.S | re.I),
    re.compile(rf"(?P<name>.+?)_(?:LATE_)?(?P<number>\d+){_REST}", re.S | re.I),
)
# a file handed in anew gets -1, -2, ... before its suffix: make_unique_filename in app/models/attachment.rb
_AGAIN = re.compile(r"-([1-9]\d?)(\.[A-Za-z0-9]+)?$")


@dataclass(frozen=True)
class Named:
    """What the name of a file or a folder says: whose it is, the file's own name, and how it came."""

    system: str
    name: str  # of the learner, as the system writes it
    number: str  # what the system calls the learner
    file: str = ""  # nothing: the name is a folder's
    attempt: int = 1
    typed: bool = False  # HTML of what was typed in

    @property
    def folder(self) -> bool:
        return not self.file


def moodle(name: str) -> Named | None:
    """What Moodle's name for a file or a folder says."""
    found = _MOODLE.fullmatch(name)
    if found is None:
        return None
    return Named("moodle", found["name"], found["number"] or "", found["file"] or "", typed=found["plugin"] == _TYPED)


def canvas(name: str) -> Named | None:
    """What Canvas's name for a file says."""
    found = next((match for pattern in _CANVAS if (match := pattern.fullmatch(name))), None)
    if found is None:
        return None
    file = found["file"] or f"{found['entry']}.html"
    again = _AGAIN.search(file)
    return Named(
        "canvas",
        found.groupdict().get("name") or "",
        found["number"],
        file,
        int(again[1]) + 1 if again else 1,
        typed=(found["entry"] or "").lower() == "text",
    )


# -- Gradescope --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Submitter:
    name: str
    sid: str
    email: str


@dataclass(frozen=True)
class Exported:
    """A submission of Gradescope's: who handed it in, and the submissions that it takes the place of."""

    submitters: tuple[Submitter, ...]
    history: tuple[str, ...] = ()


def gradescope(stream: IO[bytes]) -> dict[str, Exported]:
    """What Gradescope's list says of each folder or file; of a damaged one, what stands before the damage.

        submission_409194023:
          :submitters:
          - :name: Ann Lee
            :sid: '123456789'
            :email: ann@example.org
          :history:
          - :id: 409190001
            ...

    Help of Gradescope does not say its form; public programs that read it do, among them tests with whole lists.
    The parser's events are enough: no object is made, a reference is not followed, and a number stays as it is written.
    """
    import yaml

    made: dict[str, Exported] = {}
    try:
        events = yaml.parse(stream, Loader=getattr(yaml, "CBaseLoader", yaml.BaseLoader))
        for path, values in _records(events):
            submitters = tuple(
                Submitter(*(each.get(field, "").strip() for field in (":name", ":sid", ":email")))
                for each in values.get(":submitters", [])[:MOST_SUBMITTERS]
            )
            made[path] = Exported(submitters, tuple(each.get(":id", "") for each in values.get(":history", [])))
            if len(made) == MOST_EXPORTED:
                break
    except (yaml.YAMLError, UnicodeError, ValueError, OSError, EOFError):
        pass
    return made


def _records(events: Iterator[Any]) -> Iterator[tuple[str, dict[str, list[dict[str, str]]]]]:
    """(key, {list: its mappings}) of each mapping at the top; of what lies deeper, nothing.

    `where` are the keys of the mappings that are open, None for a list; `key` is the one whose value comes next.
    """
    import yaml

    where: list[str | None] = []
    key: str | None = None
    record: dict[str, list[dict[str, str]]] = {}
    for event in events:
        in_mapping = bool(where) and where[-1] is not None
        in_list = len(where) >= 3 and where[2] is None
        if isinstance(event, yaml.CollectionStartEvent):
            is_mapping = isinstance(event, yaml.MappingStartEvent)
            if in_list and len(where) == 3 and is_mapping:
                record.setdefault(where[1] or "", []).append({})
            if in_mapping:
                where[-1] = key or ""
            where.append("" if is_mapping else None)
            key = None
        elif isinstance(event, yaml.CollectionEndEvent):
            where.pop()
            key = None
            if len(where) == 1 and where[0] is not None:
                yield where[0], record
                record = {}
        elif in_mapping and isinstance(event, yaml.ScalarEvent | yaml.AliasEvent):
            value = getattr(event, "value", "")
            if key is not None and in_list and len(where) == 4:
                record[where[1] or ""][-1][key] = value
            key = value if key is None else None


# -- what was typed ----------------------------------------------------------------------------------------------

_BLOCKS = frozenset(
    "address article blockquote br dd div dl dt fieldset figure footer form h1 h2 h3 h4 h5 h6 header hr li main nav ol "
    "p pre section table tbody td tfoot th thead title tr ul".split()
)
_SILENT = frozenset("head script style title template".split())
_BEFORE: Mapping[str, str] = {"sup": "^(", "sub": "_"}
_AFTER: Mapping[str, str] = {"sup": ")"}


def typed(data: bytes, system: str) -> bytes:
    """The lines of a page that was typed in; as it is where it is no UTF-8."""
    try:
        page = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data
    reader = _Lines(heading=system == "canvas")
    reader.feed(page)
    lines = [line.rstrip() for line in "".join(reader.text).replace("\N{NO-BREAK SPACE}", " ").split("\n")]
    return ("\n".join(line for line in lines if line.strip()) + "\n").encode() if any(map(str.strip, lines)) else b""


class _Lines:
    """The text of a page, a line for each block; a power and an index stay what they are.

    Canvas puts a heading of its own before what was typed, and a formula into the attribute of a picture:
    app/views/assignments/text_entry_page.html.erb; `data-equation-content`. Both systems write `<` as `&lt;`, so that
    a tag ends at the next `>`; Python's own parser takes minutes for a page of `<a <a <a`.
    """

    def __init__(self, heading: bool):
        self.text: list[str] = []
        self._silent: str | None = None  # the tag whose content is not said
        self._heading = heading
        self._verbatim = False

    def feed(self, page: str) -> None:
        text, *pieces = page.split("<")
        self._say(text)
        for piece in pieces:
            tag, closed, text = piece.partition(">")
            name = _TAG.match(tag)
            if not closed or not (name or tag[:1] in "!?"):
                self._say(f"<{piece}")
                continue
            if name:
                self._take(name[2].lower(), bool(name[1]), tag)
            self._say(text)

    def _take(self, tag: str, ends: bool, whole: str) -> None:
        if self._silent:
            if tag == "body" or (ends and tag == self._silent):
                self._heading = self._heading and self._silent != "h1"
                self._silent = None
            return
        if not ends and (tag in _SILENT or (tag == "h1" and self._heading)):
            self._silent = tag
        formula = _FORMULA.search(whole)
        if formula:
            self.text.append(f"\n$${unescape(formula[1])}$$\n")
        if tag == "pre":
            self._verbatim = not ends
        self.text.append("\n" if tag in _BLOCKS else (_AFTER if ends else _BEFORE).get(tag, ""))

    def _say(self, text: str) -> None:
        if text and not self._silent:
            text = unescape(text)
            self.text.append(text if self._verbatim else _SPACE.sub(" ", text))


_TAG = re.compile(r"(/?)([A-Za-z][A-Za-z0-9]*)")
_FORMULA = re.compile(r'data-equation-content="([^"]*)"')
_SPACE = re.compile(r"[ \t\r\n]+")
