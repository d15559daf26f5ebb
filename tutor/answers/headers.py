"""`# exercise: mlp:layers=3`, `# sizes: N=32, K=10`, `# drill: ...`: lines that say what a sheet is, as patterns.

In Python a header is a comment of `#`; % and <!-- begin one in LaTeX and Markdown.
"""

from __future__ import annotations

import re

_COLON = r"\s*[:：]"
# capitals may begin a title (`# Exercise: Backpropagation`): there the value has to look like one of a header
_ID_LIKE = r"(?:[a-z][\w-]*|[A-Za-z]\w*[-_][\w-]+)(?::[\w=,.+-]+)?\s*(?:-->\s*)?$"
_IN_CAPITALS = rf"EXERCISE|(?i:exercise)(?={_COLON}\s*{_ID_LIKE})|(?i:sizes)(?={_COLON}\s*\w+\s*=\s*\d)"
_SIZES_LIKE = r"\s+[^\W\d]\w*\s*=\s*\d+(?:(?:\s*[,;]\s*|\s+)[^\W\d]\w*\s*=\s*\d+)*\s*(?:-->\s*)?$"
_WITHOUT_COLON = rf"(?<=[sS])(?={_SIZES_LIKE})"  # `# sizes N=3` can mean nothing else
_HEADER = (
    rf"(?P<key>exercise|sizes|{_IN_CAPITALS}|(?i:sizes)(?={_SIZES_LIKE}))"  # after the mark of a comment
    rf"(?:{_COLON}|{_WITHOUT_COLON})\s*(?P<value>.*?)\s*"
)
IN_PYTHON = re.compile(rf"^\s*#\s*{_HEADER}$")
ANYWHERE = re.compile(rf"^\s*(?:<!--|#|%)\s*{_HEADER}(?:-->\s*)?$")
ID = re.compile(r"[A-Za-z0-9_-]+(:[A-Za-z0-9_=,.+-]+)?")
SIZE = re.compile(r"\s*([^\W\d]\w*)\s*=\s*(\d{1,7})\s*(?:,|;|\s|$)\s*")
# the ids that a file names, which is not read further: a quotation mark begins a line of a notebook's cell; four spaces
# before a header make it an example in Markdown
NAMED = re.compile(rf"^(?:[ \t]{{0,3}}|\s*\")(?:<!--|#|%)\s*exercise{_COLON}\s*([\w-]+(?::[\w=.,-]*\w)?)", re.MULTILINE)
DRILL = re.compile(rf"^\s*#\s*drill{_COLON}", re.MULTILINE)


def key_of(header: re.Match[str]) -> str:
    """`exercise` or `sizes`, also of `# Exercise: ...`."""
    return header["key"].lower()
