"""Fuzzes reading and judging: random sheets by grammar, right sheets spoilt, hostile ones, raw text and raw bytes.

    python tests/benchmarks/fuzz.py --count 1000000 --jobs 16 --seconds 500 [--seed 0] [--start 0] [--only 4711]

Nothing may be raised but the tutor's own errors, and by `check` nothing at all; nothing a text says may be run; an
input may take 1 s and 300 MB; a report fits its schema, and comes out the same twice; right sheets stay right. Most
inputs are drawn from seeded dice, one in fifty by hypothesis from the same grammar (`fuzz_texts.py`), where it finds
other corners; `tests/test_fuzz.py` has hypothesis shrink what fails. What `--seconds` cuts goes on with the `--start`
that is printed, and so does what Ctrl-C cuts; how far it is stands on stderr. Exits 1 if anything failed.
"""

from __future__ import annotations

import argparse
import heapq
import json
import multiprocessing
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]
warnings.filterwarnings("ignore", message="Failed to initialize NumPy")

import fuzz_texts as texts  # noqa: E402
import jsonschema  # noqa: E402

import tutor  # noqa: E402
from tutor.answers import documents  # noqa: E402
from tutor.checking import interpret  # noqa: E402
from tutor.checking.sheets import check_sheets  # noqa: E402
from tutor.errors import TutorError  # noqa: E402

SECONDS = 1.0  # of processor time for one input, above the imports
MEGABYTES = 300  # above what the process had before
HANGS = 60.0  # seconds on the clock after which a process is stopped
SAYS = 60.0  # seconds between two lines on how far it is
CHUNK = 100  # inputs that a process takes at a time
BY_HYPOTHESIS = 50  # one chunk in so many is hypothesis's, which take seven times as long
TWICE = 10  # one input in so many is looked at again: schema, views, the same bytes twice
SLOWEST = 10
SHOWN = 20  # failures in full

# scalars, vectors, softmax, normalisation, networks with masks and kinks, repeated indices, values after the pass
ADDRESSES = [
    "linear-regression", "linear-regression-batch", "softmax-regression", "layer-norm", "mlp", "mlp:loss=mae",
    "embedding",
    "attention", "sgd-step", "deep-chain",
]  # fmt: skip


# -- what is made, and what is done with it ----------------------------------------------------------------------


@dataclass(frozen=True)
class Kind:
    """A way of making an input, and the part of the tutor it is given to."""

    name: str
    weight: int
    make: Callable[[texts.Words, random.Random], Any]
    use: Callable[[Any, Any], Any]


def reading(written: str | None) -> Callable[[Any, Any], Any]:
    """Reading alone: text -> statements; an error of the tutor's own is an answer."""

    def read(exercise: Any, text: str) -> None:
        try:
            for part in documents.parts(text, written):
                part.sheet(exercise)
        except TutorError as error:
            str(error)

    return read


def judging(exercise: Any, text: str) -> Any:
    return tutor.check(exercise, text)


def judging_a_file(exercise: Any, given: tuple[str, bytes]) -> Any:
    suffix, held = given
    path = Path(f"sheet{suffix}")
    path.write_bytes(held)
    return tutor.check(exercise, path)


def with_header(exercise: Any, text: str) -> Any:
    """As the command line has it: the sheet says which exercise it is for."""
    try:
        return check_sheets(text)[0]
    except TutorError as error:
        return str(error) and None


def a_file(words: texts.Words, dice: random.Random) -> tuple[str, bytes]:
    return dice.choice(["", ".py", ".md", ".tex", ".ipynb", ".PY"]), texts.raw_bytes(words, dice)


def headed(words: texts.Words, dice: random.Random) -> str:
    names = [*ADDRESSES, "mlp:layers=3,activation=tanh", "mlp:layers=0", "mlp:layers=10**9", "nothing", "x.py", "..",
        "mlp:", "mlp:=",
             "mlp:loss=", "mlp:layers=1e3", "MLP", "mlp:layers=3:layers=4", "mlp:layers=999999999999"]  # fmt: skip
    text = f"# exercise: {dice.choice(names)}\n{dice.choice(words.right['python'])}"
    return texts.mutated(text, words, dice) if dice.random() < 0.7 else text


def spoilt(written: str) -> Callable[[texts.Words, random.Random], str]:
    return lambda words, dice: texts.mutated(dice.choice(words.right[written]), words, dice)


# reading meets every text first, and costs a tenth of judging: five inputs in six are for it alone
KINDS = [
    Kind("read: Python and index grammar", 72, lambda w, d: texts.Grammar(w, d).sheet(), reading("python")),
    Kind("read: right Python spoilt", 48, spoilt("python"), reading("python")),
    Kind("read: LaTeX grammar", 48, lambda w, d: texts.Latex(w, d).text(), reading("latex")),
    Kind("read: right LaTeX spoilt", 30, spoilt("latex"), reading("latex")),
    Kind("read: Markdown", 30, texts.markdown, reading("markdown")),
    Kind("read: notebooks", 24, texts.random_notebook, reading("notebook")),
    Kind("read: right notebooks spoilt", 12, spoilt("notebook"), reading("notebook")),
    Kind("read: hostile", 48, texts.hostile, reading(None)),
    Kind("read: raw text", 36, texts.raw_text, reading(None)),
    Kind("judge: raw bytes in a file", 5, a_file, judging_a_file),
    Kind("judge: raw text", 2, texts.raw_text, judging),
    Kind("judge: Python and index grammar", 12, lambda w, d: texts.Grammar(w, d).sheet(), judging),
    Kind("judge: LaTeX grammar", 4, lambda w, d: texts.Latex(w, d).text(), judging),
    Kind("judge: Markdown", 3, texts.markdown, judging),
    Kind("judge: notebooks", 2, texts.random_notebook, judging),
    Kind("judge: right Python spoilt", 8, spoilt("python"), judging),
    Kind("judge: right LaTeX spoilt", 3, spoilt("latex"), judging),
    Kind("judge: hostile", 12, texts.hostile, judging),
    Kind("judge: headers", 3, headed, with_header),
]
BY_NAME = {kind.name: kind for kind in KINDS}


def drawn(dice: random.Random) -> tuple[Kind, str, Any]:
    kind = dice.choices(KINDS, [kind.weight for kind in KINDS])[0]
    address = dice.choice(ADDRESSES)
    return kind, address, kind.make(texts.words(address), dice)


def item(seed: int, number: int) -> tuple[Kind, str, Any]:
    return drawn(random.Random(f"{seed}|{number}"))


# -- watching ---------------------------------------------------------------------------------------------------

WATCHED = ("os.", "subprocess.", "socket.", "shutil.", "tempfile.", "ctypes.dlopen", "ftplib.", "urllib.", "pty.",
    "webbrowser.",
           "builtins.input", "builtins.breakpoint", "signal.", "pickle.", "marshal.load")  # fmt: skip
HARMLESS = ("os.listdir", "os.scandir", "os.fwalk", "os.walk")


class Watch:
    """Python's own audit: what an input has the process open, run, import or execute."""

    def __init__(self) -> None:
        self.on = False
        self.allowed = ""
        self.seen: list[str] = []
        sys.addaudithook(self._heard)

    def _heard(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.on:
            return
        if event == "open":
            self._opened(*args)
        elif event == "exec":
            if not os.path.isfile(getattr(args[0], "co_filename", "")):
                self.seen.append(f"executes code of {getattr(args[0], 'co_filename', '?')!r}")
        elif event == "import":
            if texts.CANARY in str(args[0]):
                self.seen.append(f"imports {args[0]}")
        elif event.startswith(WATCHED) and event not in HARMLESS:
            self.seen.append(f"{event}{args!r}"[:200])

    def _opened(self, path: Any, mode: Any, flags: Any = 0) -> None:
        writes = any(letter in str(mode) for letter in "wax+") or (isinstance(flags, int) and flags & 3)
        name = str(path)
        if name in (self.allowed, "<unknown>"):  # the latter is Python's parser, looking for the line at fault
            return
        if writes or not name.startswith(
            (sys.prefix, sys.base_prefix, str(texts.ROOT), "/proc/self", "/usr/", "/dev/null")
        ):
            self.seen.append(f"opens {name[:200]!r} ({mode})")


class Memory:
    """Megabytes that an input took at its most, above what the process had before."""

    def __init__(self) -> None:
        self.resets = self._reset()
        self.before = self._now()

    def _reset(self) -> bool:
        try:
            with open("/proc/self/clear_refs", "w") as file:
                file.write("5")  # Linux: the high-water mark begins anew
            return "VmHWM" in Path("/proc/self/status").read_text()
        except OSError:
            return False

    def _now(self, what: str = "VmRSS") -> float:
        if self.resets:
            text = Path("/proc/self/status").read_text()
            return float(text.split(f"{what}:")[1].split()[0]) / 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    def begin(self) -> None:
        if self.resets:
            self._reset()
        self.before = self._now()

    def grown(self) -> float:
        return max(self._now("VmHWM") - self.before, 0.0)


# -- one input ----------------------------------------------------------------------------------------------------


@dataclass
class Failure:
    what: str
    kind: str
    where: str  # item number, or hypothesis
    address: str
    text: str
    says: str


@dataclass
class Tally:
    counts: Counter[str] = field(default_factory=Counter)
    seconds: Counter[str] = field(default_factory=Counter)
    most: dict[str, float] = field(default_factory=dict)
    verdicts: Counter[str] = field(default_factory=Counter)
    looked_twice: int = 0
    by_hypothesis: int = 0
    slowest: list[tuple[float, str, str, str]] = field(default_factory=list)
    largest: list[tuple[float, str, str, str]] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        self.counts += other.counts
        self.seconds += other.seconds
        self.verdicts += other.verdicts
        self.looked_twice += other.looked_twice
        self.by_hypothesis += other.by_hypothesis
        for name, value in other.most.items():
            self.most[name] = max(self.most.get(name, 0.0), value)
        self.slowest = heapq.nlargest(SLOWEST, [*self.slowest, *other.slowest])
        self.largest = heapq.nlargest(3, [*self.largest, *other.largest])
        self.failures += other.failures


@cache
def _validator() -> Any:
    schema = json.loads((texts.ROOT / "tutor" / "checking" / "report.schema.json").read_text(encoding="utf-8"))
    return jsonschema.Draft202012Validator(schema)


class Examiner:
    """Gives inputs to the tutor, in a folder of its own, and looks at what happens."""

    def __init__(self, watch: Watch):
        self.watch, self.memory = watch, Memory()
        self.tally = Tally()
        self.folder = Path.cwd()
        self.right: dict[str, str] = {}  # address -> the report on a right sheet

    def examine(self, kind: Kind, address: str, given: Any, where: str, thoroughly: bool = False) -> list[Failure]:
        """Failures of one input; they are counted as well."""
        exercise = texts.words(address).exercise
        text = given if isinstance(given, str) else repr(given)
        found: list[str] = []
        known = len(sys.modules)
        report, took, grown = self._once(kind, exercise, given, found)
        if took > SECONDS or (found and len(sys.modules) > known):  # once more: what it imports is there now
            found.clear()
            report, again, grown = self._once(kind, exercise, given, found)
            took = min(took, again)
        if took > SECONDS:
            found.append(f"slow: {took:.2f} s")
        if grown > MEGABYTES:
            found.append(f"memory: {grown:.0f} MB")
        if report is not None and not found:
            found += self._looked_at(report, given)
            self.tally.verdicts[report.verdict] += 1
            if thoroughly:
                found += self._again(kind, exercise, given, report)
        tally = self.tally
        tally.counts[kind.name] += 1
        tally.seconds[kind.name] += took
        tally.most[kind.name] = max(tally.most.get(kind.name, 0.0), took)
        tally.slowest = heapq.nlargest(SLOWEST, [*tally.slowest, (took, where, address, text)])
        tally.largest = heapq.nlargest(3, [*tally.largest, (grown, where, address, text)])
        made = [Failure(says.split(":")[0], kind.name, where, address, text, says) for says in found]
        tally.failures += made
        return made

    def _once(self, kind: Kind, exercise: Any, given: Any, found: list[str]) -> tuple[Any, float, float]:
        report = None
        self.watch.allowed = f"sheet{given[0]}" if isinstance(given, tuple) else ""
        self.memory.begin()
        with warnings.catch_warnings(record=True) as shown:
            warnings.simplefilter("always")
            self.watch.on = True
            start = time.process_time()
            try:
                report = kind.use(exercise, given)
            except BaseException as error:  # also what a text might raise: SystemExit, RecursionError
                if isinstance(error, KeyboardInterrupt):
                    raise
                self.watch.on = False
                found.append(f"raises {type(error).__name__}: {_traced(error)}")
            took = time.process_time() - start
            self.watch.on = False
        grown = self.memory.grown()
        found += [f"warns: {str(w.message)[:200]} ({w.filename}:{w.lineno})" for w in shown[:1]]
        found += [f"runs: {event}" for event in self.watch.seen]
        self.watch.seen.clear()
        found += self._left()
        return report, took, grown

    def _left(self) -> list[str]:
        """Files that an input made: there may be none but its own."""
        made = [path for path in self.folder.iterdir() if not path.name.startswith(("sheet", ".hypothesis"))]
        for path in made:
            path.unlink()
        return [f"runs: made the file {path.name}" for path in made]

    def _looked_at(self, report: Any, given: Any) -> list[str]:
        """Our own faults, and places outside of the text (a notebook's are inside its cells)."""
        found = []
        text = given if isinstance(given, str) else given[1].decode("utf-8", "replace")
        for line in report.lines:
            if "our own fault" in line.reason:
                found.append(f"fault: {line.reason}")
            rows = text.count("\n") + text.count("\r") + 1
            if (
                line.cell is None
                and not 0 <= line.line <= rows
                or line.column < 1
                or (line.text and line.column - line.start > len(text))
            ):
                found.append(f"place: line {line.line}, column {line.column}: {line.text!r}")
        return found

    def unharmed(self, address: str, where: str) -> list[Failure]:
        """A right sheet has the report that it had before all those inputs: none of them changed what is kept."""
        known = texts.words(address)
        text = known.right["python"][0]
        report = json.dumps(tutor.check(known.exercise, text).to_dict())
        if self.right.setdefault(address, report) == report:
            return []
        self.right[address] = report
        made = Failure("harmed", "right sheets", where, address, text, "harmed: a right sheet has another report now")
        self.tally.failures.append(made)
        return [made]

    def _again(self, kind: Kind, exercise: Any, given: Any, report: Any) -> list[str]:
        """Schema, views, and the same bytes twice."""
        self.tally.looked_twice += 1
        first = json.dumps(report.to_dict(), allow_nan=False)
        found = [f"schema: {error.message[:200]}" for error in _validator().iter_errors(json.loads(first))]
        try:
            str(report), report._repr_mimebundle_()
        except Exception as error:
            found.append(f"view: {_traced(error)}")
        again = kind.use(exercise, given)
        if json.dumps(again.to_dict(), allow_nan=False) != first:
            found.append("bytes: another report the second time")
        return found


def _traced(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    return f"{str(error)[:200]}   [{' < '.join(f'{Path(f.filename).name}:{f.lineno}' for f in reversed(frames))}]"


# -- processes -----------------------------------------------------------------------------------------------------


def ready() -> Examiner:
    """An examiner in an empty folder, everything imported that a sheet may need."""
    import torch

    torch.set_num_threads(1)
    interpret.STRICT = True  # our own faults are raised, so that they show where they are
    os.chdir(tempfile.mkdtemp(prefix="fuzz-"))
    examiner = Examiner(Watch())
    for address in ADDRESSES:
        known = texts.words(address)
        for written in known.right.values():
            for text in written:
                str(tutor.check(known.exercise, text))
        examiner.unharmed(address, "")
    dice = random.Random(0)
    for kind in KINDS:
        for _ in range(5):
            examiner.examine(kind, dice.choice(ADDRESSES), kind.make(texts.words("mlp"), dice), "warm", True)
    examiner.tally = Tally()
    return examiner


def work(pipe: Any, current: Any, since: Any, seed: int) -> None:
    """Takes chunks, says what came out; `current` holds the text at hand, for when this process dies of it."""
    examiner = ready()
    pipe.send(None)
    while True:
        chunk = pipe.recv()
        if chunk is None:
            break

        def one(kind: Kind, address: str, given: Any, where: str, number: int) -> None:
            held = f"{kind.name}\n{where}\n{address}\n{given if isinstance(given, str) else given!r}"
            current.value = held.encode("utf-8", "surrogatepass")[: len(current) - 1].replace(b"\x00", b"\\0")
            since.value = time.monotonic()
            examiner.examine(kind, address, given, where, number % TWICE == 0)
            since.value = 0.0

        if chunk % BY_HYPOTHESIS == BY_HYPOTHESIS - 1:
            by_hypothesis(one, f"{seed}|{chunk}")
            examiner.tally.by_hypothesis = examiner.tally.counts.total()
        else:
            for number in range(chunk * CHUNK, (chunk + 1) * CHUNK):
                one(*item(seed, number), str(number), number)
        examiner.unharmed(ADDRESSES[chunk % len(ADDRESSES)], f"chunk {chunk}")
        pipe.send(examiner.tally)
        examiner.tally = Tally()
    shutil.rmtree(examiner.folder, ignore_errors=True)


def by_hypothesis(one: Callable[..., None], seeded: str, count: int = CHUNK) -> None:
    """The same grammar with hypothesis's dice, and its own texts and bytes."""
    from hypothesis import HealthCheck, Phase, given, seed, settings
    from hypothesis import strategies as st

    done = 0

    @seed(seeded)
    @settings(max_examples=count, database=None, deadline=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(st.data())
    def run(data: Any) -> None:
        nonlocal done
        if done == count:
            return
        kind, address, made = by_data(data)
        done += 1
        one(kind, address, made, f"{seeded}, by hypothesis", done)

    run()


def by_data(data: Any, kinds: list[Kind] | None = None) -> tuple[Kind, str, Any]:
    from hypothesis import strategies as st

    kind = data.draw(st.sampled_from(kinds or KINDS))
    address = data.draw(st.sampled_from(ADDRESSES))
    if kind.make is texts.raw_text:
        return (
            kind,
            address,
            data.draw(st.text(st.characters()) | st.text("dwxyzWb=+-*/@()[]{}.,:;'\"\\ \n\t#$%^&_<>|~`!01239eEijk")),
        )
    if kind.make is a_file and data.draw(st.booleans()):
        return (
            kind,
            address,
            (data.draw(st.sampled_from(["", ".py", ".md", ".tex", ".ipynb"])), data.draw(st.binary(max_size=400))),
        )
    return kind, address, kind.make(texts.words(address), data.draw(st.randoms(use_true_random=False)))


class Worker:
    """A process, the chunk it is at, and how to tell that it hangs."""

    def __init__(self, seed: int):
        spawn = multiprocessing.get_context("spawn")
        self.current, self.since = spawn.Array("c", 300_000, lock=False), spawn.Value("d", 0.0, lock=False)
        self.pipe, other = spawn.Pipe()
        self.process = spawn.Process(target=work, args=(other, self.current, self.since, seed), daemon=True)
        self.process.start()
        other.close()
        self.chunk: int | None = None

    @property
    def hangs(self) -> bool:
        return bool(self.since.value) and time.monotonic() - self.since.value > HANGS

    def last(self, what: str) -> Failure:
        kind, where, address, text = [*self.current.value.decode("utf-8", "replace").split("\n", 3), "", "", ""][:4]
        return Failure(what, kind, where, address, text, f"{what}: exit code {self.process.exitcode}")


def fuzz(count: int, jobs: int, seed: int, start: int, seconds: float) -> tuple[Tally, int]:
    """The tally, and the first input that was not taken."""
    tally, until = Tally(), time.monotonic() + seconds
    todo = iter(range(start // CHUNK, -(-(start + count) // CHUNK)))
    following = start // CHUNK
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # workers inherit it: Ctrl-C lets them end their chunks
    workers = [Worker(seed) for _ in range(jobs)]
    stopped = False

    def stop(*_: object) -> None:
        nonlocal stopped
        stopped = True

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    said = time.monotonic()
    while workers:
        if time.monotonic() - said > SAYS:
            said = time.monotonic()
            print(f"{tally.counts.total():,} inputs, {len(tally.failures)} failures", file=sys.stderr, flush=True)
        for pipe in wait([w.pipe for w in workers], timeout=1):
            worker = next(w for w in workers if w.pipe is pipe)
            try:
                made = worker.pipe.recv()
            except EOFError:
                worker.process.join()
                tally.failures.append(worker.last("died"))
                workers[workers.index(worker)] = Worker(seed)
                continue
            if made is not None:
                tally.add(made)
            chunk = next(todo, None) if time.monotonic() < until and not stopped else None
            worker.pipe.send(chunk)
            if chunk is None:
                workers.remove(worker)
                worker.process.join()
            else:
                following = chunk + 1
        for n, worker in enumerate(workers):
            if worker.hangs:
                worker.process.kill()
                worker.process.join()
                tally.failures.append(worker.last("hangs"))
                workers[n] = Worker(seed)
    return tally, following * CHUNK


# -- what is printed ------------------------------------------------------------------------------------------------


def show(tally: Tally, took: float, following: int) -> None:
    print(f"\n  {'input':<34} {'count':>9} {'mean':>10} {'most':>10} {'failures':>9}")
    failed = Counter(f.kind for f in tally.failures)
    for kind in KINDS:
        count = tally.counts[kind.name]
        mean = tally.seconds[kind.name] / max(count, 1)
        print(f"  {kind.name:<34} {count:>9,} {mean * 1e3:>7.2f} ms {tally.most.get(kind.name, 0.0) * 1e3:>7.0f} ms "
              f"{failed[kind.name]:>9}")  # fmt: skip
    print(f"  {'all':<34} {tally.counts.total():>9,} {'':>10} {'':>10} {len(tally.failures):>9}")
    judged = ", ".join(f"{name} {count:,}" for name, count in tally.verdicts.most_common())
    largest = max((grown for grown, *_ in tally.largest), default=0.0)
    print(f"\n  by seeded dice {tally.counts.total() - tally.by_hypothesis:,}, by hypothesis {tally.by_hypothesis:,}; "
          f"looked at twice {tally.looked_twice:,}; {took:.0f} s; the next --start is {following}")  # fmt: skip
    print(f"  verdicts: {judged}")
    print(f"  most memory for one input {largest:.0f} MB (at most {MEGABYTES}); "
          f"slowest {max((t for t, *_ in tally.slowest), default=0.0):.2f} s (at most {SECONDS:.0f})")  # fmt: skip
    print("\nslowest:")
    for seconds, where, address, text in sorted(tally.slowest, reverse=True):
        print(f"  {seconds * 1e3:6.0f} ms  {where} {address}: {_short(text)}")
    print("most memory:")
    for grown, where, address, text in sorted(tally.largest, reverse=True):
        print(f"  {grown:6.0f} MB  {where} {address}: {_short(text)}")
    several = Counter(_gist(f) for f in tally.failures)
    shown: Counter[str] = Counter()
    for failure in sorted(tally.failures, key=lambda f: len(f.text)):
        gist = _gist(failure)
        shown[gist] += 1
        if shown[gist] == 1 and len(shown) <= SHOWN:
            print(f"\n{several[gist]} times {failure.says}\n  {failure.kind}, {failure.where}, {failure.address}:")
            print("    " + _short(failure.text, 600))


def _short(text: str, most: int = 150) -> str:
    return ascii(text)[1:-1] if len(text) <= most else f"{ascii(text[:most])[1:-1]} ... ({len(text):,} characters)"


def _gist(failure: Failure) -> str:
    """Failures of one cause together: the same words at the same place."""
    at = failure.says.rfind("   [")
    said = failure.says[at:] if at >= 0 else "".join(c for c in failure.says if not c.isdigit())
    return f"{failure.what}{said}"[:160]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=int, default=0, help="the first input's number")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="no new inputs after so long")
    parser.add_argument("--only", type=int, help="this input alone, printed")
    given = parser.parse_args()
    if given.only is not None:
        return only(given.seed, given.only)
    began = time.monotonic()
    tally, following = fuzz(given.count, given.jobs, given.seed, given.start, given.seconds)
    show(tally, time.monotonic() - began, following)
    print(f"\n{tally.counts.total():,} inputs, {len(tally.failures)} failures")
    return bool(tally.failures)


def only(seed: int, number: int) -> int:
    examiner = ready()
    kind, address, made = item(seed, number)
    print(
        f"{kind.name}, {address}:\n{made if isinstance(made, str) else repr(made)}".encode(
            "utf-8", "backslashreplace"
        ).decode()
    )
    failures = examiner.examine(kind, address, made, str(number), True)
    print("\n".join(f.says for f in failures) or "no failure")
    print(f"{examiner.tally.seconds.total() * 1e3:.1f} ms, {examiner.tally.largest[0][0]:.0f} MB")
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
