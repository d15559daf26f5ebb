"""What explains a line that neither a table of mistakes nor an edit does: dearer than both, and looked for last.

`given` are the learner's values at every draw, `points` the truth there. Beside it what a repair shows by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from typing import Any

from torch import Tensor

from tutor.checking import spoils
from tutor.checking.report import Mistake, Repair
from tutor.exercise import Exercise, Quantity
from tutor.language import N_, joined, nsaid, said
from tutor.numeric import compare

MOST_CUT = 8  # quantities of fewer axes on the way that are taken for constants
MOST_STEPS = 12  # of an exercise whose closed forms are looked at
MOST_SPOILT = 60  # spoilt steps on the way that are tried
DEEP = ("wrong-convention", "sign", "factor", "wrong-axis", "missing-path", "wrong-mask", "wrong-power")
MOST_LEAVES = 3  # names that are shown


def of_repair(found: Repair) -> Iterator[Mistake]:
    """What a repair alone shows: a sign, a transpose, a part written over another."""
    old, new = found.old.replace(" ", ""), found.new.replace(" ", "")
    if old.lstrip("+-") == new.lstrip("+-") and ("-" in (old[:1], new[:1])) and old != new:
        term = found.old.lstrip("+- ")
        params = {"term": term if term.strip("=") else said("what is added")}
        if not (term.isdigit() and term in (old, new)):  # `torch.tril(db, -1)`: an argument, no term
            yield Mistake("sign", said("the sign of {term} is flipped", **params), params)
    if (old, new) == ("=", "+="):
        says = said("this writes over what is there already: parts that meet in one place are added")
        yield Mistake("missing-path", says)
    for plain, way in ((old, N_("{name} stands where its transpose belongs")), (new, N_("{name} is transposed here"))):
        if {old, new} in ({"", ".T"}, {"", r"^\top"}):
            yield Mistake("transposed", said("one transpose too many") if old else said("a transpose is missing"))
            break
        if {old, new} in ({plain, f"{plain}.T"}, {plain, rf"{plain}^\top"}):
            yield Mistake("transposed", said(way, name=plain), {"name": plain})


def gone_on(exercise: Exercise, name: str, given: Sequence[Tensor | None], points: Sequence[Any]) -> list[Mistake]:
    """`dh[h <= 0] = 0` makes dh what dz is, where h = relu(z): right, but under the name of the step before."""
    q = _differentiated(exercise, name)
    if q is None or q.is_leaf or given[0] is None:
        return []
    for before in sorted(q.reads & exercise.quantities.keys()):
        known = [point.gradients.get(f"d{before}") for point in points]
        if all(true is not None and _close(value, true) for value, true in zip(given, known, strict=True)):
            params = {"before": before, "q": q.name}
            says = N_("this is d{before}: the derivative of {q} by {before} is in it already, so it is no longer d{q}")
            return [Mistake("extra-factor", said(says, **params), params)]
    return []


def find(
    exercise: Exercise, name: str, given: Sequence[Tensor | None], points: Sequence[Any], reads: Iterable[str]
) -> list[Mistake]:
    """What explains a line that neither the true step spoilt nor an edit does: dearer, and looked for last."""
    return (
        _taken_as_constant(exercise, name, given, points)
        or _on_the_way(exercise, name, given, points)
        or _in_one_line(exercise, name, given, points)
        or _other_value(exercise, name, given, points)
        or unread(exercise, name, reads)
    )


def _differentiated(exercise: Exercise, name: str) -> Quantity | None:
    """q, where a sheet's `name` is dq; None where it is a value after the backward pass, or of the sheet's own."""
    q = exercise.quantities.get(name[1:]) if name.startswith("d") and name not in exercise.quantities else None
    return None if q is None or q.kind == "value" else q


def _taken_as_constant(
    exercise: Exercise, name: str, given: Sequence[Tensor | None], points: Sequence[Any]
) -> list[Mistake]:
    """A mean, a variance or a sum on the way that depends on q too, and whose part is not there."""
    q = _differentiated(exercise, name)
    if q is None or not q.indices:
        return []
    reached = {q.name}
    for v in exercise.forward:
        if v.reads & reached:
            reached.add(v.name)
    axes = sum(extent != 1 for extent in q.shape)
    fewer = [
        v.name
        for v in exercise.forward
        if v.name in reached - {q.name} and v.kind == "step" and sum(extent != 1 for extent in v.shape) < axes
    ][:MOST_CUT]
    for cut in (*((v,) for v in fewer), *combinations(fewer, 2)):
        if all(_close(value, _cut(point, cut, name)) for value, point in zip(given, points, strict=True)):
            params = {"cut": joined(cut, said(" and ")), "q": q.name}
            says = nsaid(
                "this takes it that {cut} is a constant: it depends on {q} as well, and that part is missing",
                "this takes it that {cut} are constants: they depend on {q} as well, and that part is missing",
                len(cut),
                **params,
            )
            return [Mistake("missing-path", says, params)]
    return []


def _on_the_way(exercise: Exercise, name: str, given: Sequence[Tensor | None], points: Sequence[Any]) -> list[Mistake]:
    """A formula for several steps at once that is what comes out when one gradient on the way is spoilt."""
    q = _differentiated(exercise, name)
    if q is None or given[0] is None:
        return []
    reached, tried = {q.name}, 0
    for v in exercise.forward:
        if not v.reads & reached:
            continue
        reached.add(v.name)
        if v.kind != "step" or tried >= MOST_SPOILT:
            continue
        candidates = spoils.spoilt(exercise, v.name)
        places = [n for n, variant in enumerate(candidates.variants) if variant.id in DEEP]
        for n in places:
            variant = candidates.variants[n]
            if variant.indices == v.indices and tried < MOST_SPOILT:
                tried += 1
                if all(_close(g, _spoilt_walk(p, candidates, n, name)) for g, p in zip(given, points, strict=True)):
                    params = {"v": v.name, **{k: str(x) for k, x in variant.params.items()}}
                    return [
                        Mistake(
                            variant.id,
                            said("on the way, in d{v}: {message}", v=v.name, message=variant.message),
                            params,
                        )
                    ]
    return []


def _spoilt_walk(point: Any, candidates: spoils.Spoilt, place: int, name: str) -> Tensor:
    variant = candidates.variants[place]
    known = {**point.values, **point.gradients}
    value = candidates.plan.run(known, dict(point.sizes), [f"v{place}"])[f"v{place}"]
    return point.walk({f"d{variant.params['q']}": value})[name]


def _in_one_line(exercise: Exercise, name: str, given: Sequence[Tensor | None], points: Sequence[Any]) -> list[Mistake]:
    """The closed form with its sums over other axes, or with a factor outside that belongs inside of them."""
    q = _differentiated(exercise, name)
    if q is None or not q.indices or len(exercise.forward) > MOST_STEPS:
        return []
    found, plan = exercise.cached(("closed, spoilt", name), lambda: _closed_variants(exercise, q.name))
    left = list(range(len(found)))
    for value, point in zip(given, points, strict=True):
        if value is None or not left:
            return []
        made = plan.run({**point.values, **point.gradients}, dict(point.sizes), [f"v{n}" for n in left])
        left = [n for n in left if _close(value, made[f"v{n}"])]
    return [found[n] for n in left[:1]]


def _closed_variants(exercise: Exercise, q: str) -> tuple[list[Mistake], Any]:
    from sympy import Sum

    from tutor.numeric.evaluate import compile_program
    from tutor.symbolic.derive import derive
    from tutor.symbolic.indices import bound_indices, quantities_in, size

    gradient = derive(exercise).gradients.get(q)
    made: list[tuple[Mistake, Any]] = []
    own: tuple[Any, ...] = () if gradient is None else gradient.indices
    expr = None if gradient is None else _written_out(gradient)
    sums = set() if expr is None else expr.atoms(Sum)
    over = {tuple(next((i for i in own if size(i) == size(b)), None) for b in bound_indices(s)) for s in sums}
    if len(over) == 1:  # one and the same sum, over axes of the result
        (axes,) = over
        if None not in axes and len(set(axes)) == len(axes):
            made = [*_outside(exercise, expr, sums, axes), *_over_others(expr, sums, axes, own)]
    made = [(m, e) for m, e in made if quantities_in(e)][:MOST_SPOILT]
    return [m for m, _ in made], compile_program([(f"v{n}", own, e) for n, (_, e) in enumerate(made)])


def _written_out(gradient: Any) -> Any:
    """The closed form without the names of intermediate gradients."""
    from tutor.symbolic.indices import insert, quantities_in

    exercise, gradients = gradient.derivation.exercise, gradient.derivation.gradients
    expr, ends = gradient.closed, {q.name for q in exercise.ends}
    for name, inner in reversed(list(gradients.items())):
        if name not in ends and f"d{name}" in quantities_in(expr):
            expr = insert(expr, f"d{name}", inner.indices, inner.expr)
    return expr


def _outside(exercise: Exercise, expr: Any, sums: Any, over: tuple[Any, ...]) -> Iterator[tuple[Mistake, Any]]:
    """gamma*Sum(dy, j) for Sum(gamma*dy, j)"""
    from sympy import Indexed, Mul

    from tutor.symbolic.indices import bound_indices, free_indices, name_of, substitute, total

    names = {str(name_of(e)) for s in sums for e in s.args[0].atoms(Indexed)}
    for x in sorted(names & set(exercise.quantities)):
        swapped: dict[Any, Any] = {}
        varies: dict[str, None] = {}
        for s in sums:
            back = dict(zip(bound_indices(s), over, strict=True))
            factors = []
            for f in Mul.make_args(s.args[0]):
                moved = [b for b in back if b in free_indices(f)] if name_of(f) == x else []
                varies |= dict.fromkeys(back[b].name for b in moved)
                factors.append(substitute(f, back) if moved else f)
            swapped[s] = total(Mul(*factors), bound_indices(s))
        if varies:
            every = said(" and ")
            params = {"x": x, "over": joined([i.name for i in over], every), "varies": joined([*varies], every)}
            says = N_(
                "{x} stands outside of the sum over {over}, and differs from one {varies} to the next: it goes inside"
            )
            yield Mistake("diagonal-only", said(says, **params), params), expr.xreplace(swapped)


def _over_others(expr: Any, sums: Any, over: tuple[Any, ...], own: tuple[Any, ...]) -> Iterator[tuple[Mistake, Any]]:
    """The sums, or means, over other axes than they should run over."""
    from sympy import Mul

    from tutor.symbolic.indices import bound_indices, fresh, size, substitute, total

    for count in range(1, len(own) + 1):
        for others in combinations(own, count):
            if set(others) == set(over):
                continue
            for mean in (True, False):
                scale = Mul(*(size(i) for i in over)) / Mul(*(size(i) for i in others)) if mean else 1
                swapped = {}
                for s in sums:
                    apart = {i: fresh(i) for i in others}
                    body = substitute(s.args[0], dict(zip(bound_indices(s), over, strict=True)))
                    swapped[s] = scale * total(substitute(body, apart), list(apart.values()))
                wrong, right = (joined([i.name for i in axes], said(" and ")) for axes in (others, over))
                params = {"wrong": wrong, "right": right}
                says = said("the sums run over {wrong} where they should run over {right}", **params)
                yield Mistake("wrong-axis", says, params), expr.xreplace(swapped)


def _cut(point: Any, cut: tuple[str, ...], name: str) -> Tensor:
    return point.walk({f"d{v}": 0 * point.gradients[f"d{v}"] for v in cut})[name]


def _close(given: Tensor | None, value: Tensor) -> bool:
    if given is None or given.shape != value.shape or not value.numel():
        return False
    return bool(compare.DOUBLE.allows((given - value).abs(), given.abs() + value.abs().max()).all())


def _other_value(exercise: Exercise, name: str, given: Sequence[Tensor | None], points: Sequence[Any]) -> list[Mistake]:
    """A value after the backward pass whose formula holds one name for another, as an old gradient for a new one."""
    q = exercise.quantities.get(name)
    if q is None or q.kind != "value" or q.expr is None:
        return []
    names, plan = exercise.cached(("swapped", name), lambda: _swaps(exercise, q))
    left = list(range(len(names)))
    for value, point in zip(given, points, strict=True):
        if not left:
            return []
        made = plan.run({**point.values, **point.gradients}, dict(point.sizes))
        left = [n for n in left if _close(value, made[f"v{n}"])]
    found, first = [], {**points[0].values, **points[0].gradients}
    for wrong, right in (names[n] for n in left if bool(first[names[n][0]].any())):
        extra, missing = (n not in exercise.quantities or exercise[n].kind == "value" for n in (wrong, right))
        id = "wrong-point" if extra is missing else "extra-gradient" if extra else "missing-gradient"
        if not extra and right in exercise.quantities:
            id = "stale-value"  # w, where it has moved to w1
        says = said("{wrong} stands where {right} belongs", wrong=wrong, right=right)
        found.append(Mistake(id, says, {"wrong": wrong, "right": right}))
    return found[:1]


def _swaps(exercise: Exercise, q: Any) -> tuple[list[tuple[str, str]], Any]:
    """(what stands there, what belongs there), and the formulas as one program."""
    from tutor.numeric.evaluate import compile_program
    from tutor.symbolic.indices import name_of

    known = {v.name: v for v in exercise if v.domain != "index" and v.name != q.name}
    known |= {f"d{v.name}": exercise.gradient_quantity(v) for v in exercise if v.differentiable and v.kind != "value"}
    nodes = [n for n in q.expr.atoms() | q.expr.find(lambda e: name_of(e) is not None) if name_of(n) in known]
    pairs: list[tuple[str, str]] = []
    formulas: list[Any] = []
    for node in sorted(set(nodes), key=str):
        right = known[str(name_of(node))]
        if bool(right.indices) is not hasattr(node, "indices"):
            continue  # the label of an array, not an entry
        for other in known.values():
            if other.name != right.name and other.shape == right.shape:
                there = other.symbol[node.indices] if right.indices else other.symbol
                pairs.append((other.name, right.name))
                formulas.append((f"v{len(formulas)}", q.indices, q.expr.xreplace({node: there})))
    return pairs, compile_program(formulas)


# -- what a line does not hang on -----------------------------------------------------------------------------


def unread(exercise: Exercise, name: str, reads: Iterable[str]) -> list[Mistake]:
    """Inputs on which the true value hangs, and nothing that the line reads does: proved, whatever the line says."""
    known = exercise.cached("what gradients hang on", lambda: hangs_on(exercise))
    if name not in known:
        return []
    own: set[str] = set()
    for read in reads:
        own |= known.get(read, frozenset())
    missing = [leaf for leaf in known if leaf in known[name] - own and known[leaf] == {leaf}]
    if not missing:
        return []
    through = [v for v in _upstream(exercise, name) if set(missing) <= known.get(v, frozenset())]
    shown = ", ".join(missing[:MOST_LEAVES]) + (", ..." if len(missing) > MOST_LEAVES else "")
    params = {"name": name, "leaves": shown, "v": through[0] if through else ""}
    id, says = "missing-local-derivative", N_("{name} depends on {leaves}, and nothing that this line reads does")
    if through:
        id = "missing-upstream"
        says = N_(
            "{name} depends on {leaves}, and nothing that this line reads does: "
            "the upstream gradient {v} would bring it in"
        )
    return [Mistake(id, said(says, **params), params)]


def _upstream(exercise: Exercise, name: str) -> list[str]:
    """The gradients in the formula of a gradient."""
    from tutor.symbolic.derive import derive
    from tutor.symbolic.indices import quantities_in

    q = _differentiated(exercise, name)
    gradient = None if q is None else derive(exercise).gradients.get(q.name)
    return [] if gradient is None else sorted(n for n in quantities_in(gradient.expr) if n not in exercise.quantities)


def hangs_on(exercise: Exercise) -> dict[str, frozenset[str]]:
    """name -> the inputs, parameters and upstream gradients whose change changes its true value."""
    from tutor.numeric.evaluate import compile_program
    from tutor.numeric.programs import backward_program
    from tutor.numeric.sample import sample

    formulas = [*((q.name, q.indices, q.expr) for q in exercise.forward), *backward_program(exercise)]
    plan = compile_program(formulas)
    first, other = (sample(exercise, seed=seed, draw=0) for seed in (0, 1))
    given = [q.name for q in exercise.leaves] + [f"d{q.name}" for q in exercise.ends if q.kind == "output"]
    leaves = {name: first.values[name] for name in given}
    base = plan.run(dict(leaves), dict(first.sizes))
    found: dict[str, set[str]] = {name: {name} for name in leaves} | {name: set() for name, _, _ in formulas}
    for leaf in leaves:
        made = plan.run({**leaves, leaf: other.values[leaf]}, dict(first.sizes))
        for name, _, _ in formulas:
            gap, scale = (made[name] - base[name]).abs(), base[name].abs() + made[name].abs()
            if gap.numel() and bool((gap > 1e-6 * scale.max()).any()):
                found[name].add(leaf)
    return {name: frozenset(on) for name, on in found.items()}
