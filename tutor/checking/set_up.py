"""Lines that set a notebook up: data for inputs and parameters, numbers for sizes, and what draws the data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from tutor.answers import language as lang
from tutor.checking.outline import names_of
from tutor.checking.report import NOTES, Sentence
from tutor.exercise import Exercise

# what gives an input values that are data: numbers drawn or read from a file, which no sheet can, or written down
_DRAWN = set(
    "randn rand randint randperm normal standard_normal uniform random random_sample integers choice bernoulli "
    "multinomial rand_like randn_like randint_like load loadtxt genfromtxt fromfile read_csv".split()
)
_WRITTEN = set(
    "tensor array asarray as_tensor from_numpy FloatTensor LongTensor zeros ones full eye linspace arange".split()
)
_GENERATORS = ("Generator", "default_rng", "RandomState")


def without_data(exercise: Exercise, sheet: lang.Sheet) -> lang.Sheet:
    """`x = torch.randn(5)` and `N = 5` set a notebook up: the lines are judged for every value and every size."""
    if not any(_may_set_up(exercise, statement) for statement in sheet.statements):
        return sheet
    set_up: list[lang.Statement] = []
    notes = []
    for found, note in ((_data(exercise, sheet), "data"), (_sized(exercise, sheet), "sizes-set")):
        given = list(found)
        if given:
            names = ", ".join(dict.fromkeys(statement.text.strip()[:60] for statement in given[:6]))
            notes.append(Sentence(note, {"line": given[0].line, "given": names}).render(NOTES))
            set_up += given
    if not set_up:
        return sheet
    kept = [statement for statement in sheet.statements if not any(statement is each for each in set_up)]
    return replace(sheet, statements=kept, notes=[*sheet.notes, *notes])


def _may_set_up(exercise: Exercise, statement: lang.Statement) -> bool:
    """Told at a glance, for most sheets have no such line."""
    named = any(name in exercise.size_symbols for name in _target_names(statement))
    return named or gives_leaf(exercise, statement) or any(word in statement.text for word in _GENERATORS)


def gives_leaf(exercise: Exercise, statement: lang.Statement) -> bool:
    """Whether a line gives an input or a parameter a value."""
    return any(_is_leaf(exercise, name) for name in _target_names(statement))


def _target_names(statement: lang.Statement) -> Iterator[str]:
    nodes = (each for target in lang.targets(statement) for each in lang.walk(target))
    yield from (each.name for each in nodes if isinstance(each, lang.Name))


def _data(exercise: Exercise, sheet: lang.Sheet) -> Iterator[lang.Statement]:
    """Lines that give inputs and parameters values of their own, and those that make what draws them."""
    constant = {*exercise.size_symbols, *lang.MODULES, "pd", "random"}
    above = _above(exercise, sheet)
    with_data = any(_drawn(each) or _at_one_size(exercise, sheet, each) for each in above)
    for statement in sheet.statements:
        names = _names(statement)
        if not isinstance(statement, lang.Assign) or not names:
            continue
        called, read = _calls_and_names(statement.value)
        if all(_is_leaf(exercise, name) for name in names):
            data = bool(called & _DRAWN)
            filled = _changed(exercise, sheet, names, _goes_down)
            if not data and called & _WRITTEN and _fits(exercise, statement) and not filled:
                # ones(N) may be a vector of the learner's that sums: data is what stands beside data, or has one size
                beside = with_data and any(statement is each for each in above)
                data = beside or _at_one_size(exercise, sheet, statement)
            if read <= constant and data:
                constant.update(names)
                yield statement
        elif read <= constant and not any(name in exercise.quantities for name in names):
            constant.update(names)
            if called & {*_GENERATORS}:
                yield statement
        else:
            constant.difference_update(names)


def may_be_data(exercise: Exercise, sheet: lang.Sheet) -> Iterator[lang.Statement]:
    """Lines that give inputs and parameters what is the same for all data: `b = 0`, `w = np.zeros(X.shape[1])`.

    That sets up what the lines after it are judged for, or is a vector of the learner's own: only they can tell.
    """
    constant = {*exercise.size_symbols, *lang.MODULES}
    for statement in sheet.statements:
        names = _names(statement)
        if not isinstance(statement, lang.Assign) or not names:
            continue
        written = _calls_and_names(statement.value)[1] <= constant
        if not any(name in exercise.quantities for name in names):
            constant = constant | {*names} if written else constant - {*names}
        leaves = written and all(_is_leaf(exercise, name) for name in names)
        if leaves and not _changed(exercise, sheet, names, _moves):
            yield statement


def _is_leaf(exercise: Exercise, name: str) -> bool:
    return name in exercise.quantities and exercise[name].is_leaf


def _above(exercise: Exercise, sheet: lang.Sheet) -> list[lang.Assign]:
    """The lines that give inputs and parameters values above the first that derives something of them."""
    found: list[lang.Assign] = []
    computed: set[str] = set()
    for statement in sheet.statements:
        names = _names(statement)
        if not isinstance(statement, lang.Assign) or not names:
            if isinstance(statement, (lang.Effect, lang.Unreadable)):
                continue
            break
        read = {name for node in lang.walk(statement.value) if (name := lang.variable(node))}
        if all(name in exercise.quantities for name in names):
            computed.update(names)
            if all(exercise[name].is_leaf for name in names):
                found.append(statement)
        elif any(name in exercise.quantities or name in computed for name in read):
            break
    return found


def _drawn(statement: lang.Assign) -> bool:
    return not _calls_and_names(statement.value)[0].isdisjoint(_DRAWN)


def _at_one_size(exercise: Exercise, sheet: lang.Sheet, statement: lang.Assign) -> bool:
    """`y = torch.zeros(4)`, `[1, 2, 3]` where y may have any size: no line for every size can mean it."""
    if sheet.sizes or not _fits(exercise, statement):
        return False
    return any(
        isinstance(made, int) and made > 1 and bool(true.free_symbols)
        for name, value in _pairs(statement)
        for made, true in zip(_extents(value) or (), exercise[name].shape, strict=False)
    )


def _fits(exercise: Exercise, statement: lang.Assign) -> bool:
    """Whether each value that is written down has its quantity's axes: b = torch.ones(N) is no bias of one number."""
    for name, value in _pairs(statement):
        made, true = _extents(value), exercise[name].shape
        if made is None:
            return False
        if not true and all(extent == 1 for extent in made):  # torch.zeros(1) for one number
            continue
        differ = [
            str(a) != str(b) for a, b in zip(made, true, strict=False) if a in exercise.size_symbols and b.is_Symbol
        ]
        if len(made) != len(true) or any(differ):
            return False
    return bool(_pairs(statement))


def _pairs(statement: lang.Assign) -> list[tuple[str, lang.Expression]]:
    """Each name with its value; none where a value is not written out for each."""
    made = [(target.name, value) for target, value in lang.pairs(statement) if isinstance(target, lang.Name)]
    written = [(name, value) for name, value in made if value is not None]
    return written if len(written) == len(made) else []


_AS_LONG = set("float double long int to type astype clone copy detach requires_grad_ contiguous numpy".split())


def _extents(value: lang.Expression) -> tuple[int | str | None, ...] | None:
    """The extents of what is written down, a number, the name of a size, or unknown; none where its axes are."""
    if isinstance(value, lang.Number):
        return ()
    if isinstance(value, lang.Unary):
        return _extents(value.operand)
    if isinstance(value, lang.Sequence):
        inner = _extents(value.items[0]) if value.items else ()
        return None if inner is None else (len(value.items), *inner)
    if isinstance(value, lang.Binary):  # 0.1 * torch.ones(D)
        left, right = _extents(value.left), _extents(value.right)
        return None if left is None or right is None else max(left, right, key=len)
    if not isinstance(value, lang.Call) or not isinstance(value.function, (lang.Name, lang.Attribute)):
        return None
    name, arguments, named = value.function.name, value.arguments, dict(value.named)
    if isinstance(value.function, lang.Attribute) and not lang.is_module(value.function.value):
        inner = _extents(value.function.value)
        if inner is None or name in _AS_LONG:
            return inner
        if name in ("reshape", "view"):
            shape = arguments[0].items if arguments and isinstance(arguments[0], lang.Sequence) else arguments
            return tuple(_extent(each) for each in shape)
        return (*inner, None) if name == "unsqueeze" else None  # and where the new one stands
    if name in ("zeros", "ones", "full"):
        first = named.get("size", named.get("shape", arguments[0] if arguments else None))
        if isinstance(first, lang.Sequence):
            return tuple(_extent(each) for each in first.items)
        given = arguments if name != "full" and first is not None and arguments else (first,)
        numbers = [each for each in given if isinstance(each, (lang.Name, lang.Number))]
        return tuple(_extent(each) for each in numbers) or None
    if name == "eye":
        return (None, None)
    if name in ("linspace", "arange"):
        return (_extent(arguments[0]) if name == "arange" and len(arguments) == 1 else None,)
    return _extents(arguments[0]) if arguments and name in _WRITTEN else None


def _extent(node: lang.Expression) -> int | str | None:
    if isinstance(node, lang.Number):
        return node.value if isinstance(node.value, int) else None
    return node.name if isinstance(node, lang.Name) else None


def _names(statement: lang.Statement) -> list[str]:
    """The names that an assignment gives a value as a whole; none where it is another statement, or gives entries."""
    names = [target.name if isinstance(target, lang.Name) else "" for target in lang.targets(statement)]
    return names if isinstance(statement, lang.Assign) and all(names) else []


def _calls_and_names(value: lang.Expression) -> tuple[set[str], set[str]]:
    """The functions that an expression calls, by the last part of their names, and the names whose values it reads."""
    nodes = list(_read(value))
    functions = [node.function for node in nodes if isinstance(node, lang.Call)]
    called = {function.name for function in functions if isinstance(function, (lang.Name, lang.Attribute))}
    bare = [function for function in functions if isinstance(function, lang.Name)]
    return called, {n.name for n in nodes if isinstance(n, lang.Name) and not any(n is each for each in bare)}


_OF_SHAPE = ("shape", "size", "ndim", "dim", "numel", "len")


def _read(node: lang.Expression) -> Iterator[lang.Expression]:
    """All that is in an expression, but for what is only asked for its shape: b in `zeros_like(b)`, X in `X.shape`."""
    yield node
    inside = lang.parts(node)
    if isinstance(node, lang.Attribute) and node.name in _OF_SHAPE:
        inside = ()
    elif isinstance(node, lang.Call) and isinstance(node.function, (lang.Name, lang.Attribute)):
        name = node.function.name
        inside = (*inside[:1], *inside[2:]) if name in _OF_SHAPE or name.endswith("_like") else inside
    for part in inside:
        yield from _read(part)


Step = Callable[[Exercise, lang.Statement], bool]


def _changed(exercise: Exercise, sheet: lang.Sheet, names: list[str], step: Step) -> bool:
    """Whether zeros that an input is given are filled, line by line: then it is a name of the learner's."""
    statements = list(lang.flat(sheet.statements))
    filled = {*names}
    for statement in statements:  # t = y: what fills t fills y
        if isinstance(statement, lang.Assign) and lang.variable(statement.value) in filled:
            filled.update(_names(statement))
    return any(
        not step(exercise, statement) and not filled.isdisjoint(_filled_by(statement, {*names}))
        for statement in statements
    )


def _filled_by(statement: lang.Statement, names: set[str]) -> Iterator[str | None]:
    """The names whose tensors a statement changes in place, or those of `names` that it makes anew of themselves."""
    yield from (lang.variable(lang.root(t)) for t in lang.targets(statement) if not isinstance(t, lang.Name))
    if isinstance(statement, lang.Update):
        yield lang.variable(lang.root(statement.target))
    elif isinstance(statement, lang.Effect):
        yield from (lang.variable(part) for part in lang.walk(statement.call))
    elif isinstance(statement, lang.Unreadable):
        yield from (each.name for each in statement.touched)
    elif isinstance(statement, lang.Assign):
        yield from _calls_and_names(statement.value)[1] & {*_names(statement)} & names


def _goes_down(exercise: Exercise, statement: lang.Statement) -> bool:
    """`w -= 0.1 * dw`, `w.data = w - lr * w.grad`: what reads a parameter's gradient fills no zeros."""
    if not isinstance(statement, (lang.Assign, lang.Update)):
        return False
    names = names_of(exercise)
    changed = [lang.variable(lang.root(target)) for target in lang.targets(statement)]
    read = {names.read(node) for node in lang.walk(statement.value)}
    return all(name is not None and f"d{name}" in read for name in changed)


def _moves(exercise: Exercise, statement: lang.Statement) -> bool:
    """The same, or anything else that is taken off a parameter: `w -= lr * step`, `W.data.sub_(step)`."""
    return _goes_down(exercise, statement) or bool(moved(exercise, statement))


def moved(exercise: Exercise, statement: lang.Statement) -> set[str]:
    """The parameters that a statement takes a step of training."""
    changed = [lang.variable(lang.root(target)) for target in lang.targets(statement)]
    taken = isinstance(statement, lang.Update) and statement.op == "-"
    if isinstance(statement, lang.Effect) and isinstance(statement.call.function, lang.Attribute):
        changed = [lang.variable(lang.root(statement.call.function.value))]
        read = {names_of(exercise).read(node) for node in lang.walk(statement.call)}
        taken = statement.call.function.name in ("sub_", "subtract_") or f"d{changed[0]}" in read
    elif isinstance(statement, lang.Assign):
        values = statement.value.items if isinstance(statement.value, lang.Sequence) else (statement.value,)
        taken = len(values) == len(changed) and all(
            isinstance(value, lang.Binary) and value.op == "-" and lang.variable(lang.root(value.left)) == name
            for value, name in zip(values, changed, strict=True)
        )
    if not taken and not _goes_down(exercise, statement):
        return set()
    made = {name for name in changed if name in exercise.quantities and exercise[name].kind == "parameter"}
    return made if len(made) == len(changed) else set()


def _sized(exercise: Exercise, sheet: lang.Sheet) -> Iterator[lang.Statement]:
    """`N = 5` and `N, D = 32, 10`, where a size is given one number: it is a size's value, and no other name's."""
    given: dict[str, set[int | float]] = {name: {size} for name, size in sheet.sizes.items()}
    found = []
    for statement in sheet.statements:
        names, numbers = _names(statement), _whole_numbers(statement)
        sizes = all(name in exercise.size_symbols for name in names)
        if numbers and sizes and not sheet.sizes.keys() >= {*names}:  # what is pinned may be said again
            found.append((statement, names))
            for name, number in zip(names, numbers, strict=True):
                given.setdefault(name, set()).add(number)
    once = [statement for statement, names in found if all(len(given[name]) == 1 for name in names)]
    others = (each for each in lang.flat(sheet.statements) if not any(each is one for one, _ in found))
    changed = {lang.variable(lang.root(target)) for each in others for target in lang.targets(each)}
    yield from (statement for statement in once if changed.isdisjoint(_names(statement)))


def _whole_numbers(statement: lang.Statement) -> list[int]:
    """The positive whole number that each name of an assignment is given; none where any is given something else."""
    if not isinstance(statement, lang.Assign):
        return []
    made: list[int] = []
    for target in statement.targets:
        names = len(target.items) if isinstance(target, lang.Sequence) else 0
        several = isinstance(statement.value, lang.Sequence)
        values = statement.value.items if isinstance(statement.value, lang.Sequence) else (statement.value,)
        numbers = [v.value for v in values if isinstance(v, lang.Number) and isinstance(v.value, int) and v.value > 0]
        if len(numbers) != len(values) or several != bool(names) or len(numbers) != (names or 1):
            return []
        made += numbers
    return made
