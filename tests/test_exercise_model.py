"""Every wrong definition is refused at once, and the message names the exercise, the quantity and what to write."""

import keyword

import pytest
import sympy
from sympy import Function, IndexedBase, Piecewise, Rational, Sum, Symbol, exp, log

from tutor import Exercise
from tutor.errors import ExerciseError, NotFoundError, TutorError
from tutor.operations import MaxOver


def sound() -> tuple[Exercise, dict]:
    """Softmax regression up to the logits, with all its names at hand."""
    ex = Exercise("trial")
    N, D, K = ex.sizes("N D K")
    i, j, k = ex.indices(i=N, j=D, k=K)
    x, y = ex.input("x", i, j), ex.input("y", i, k, domain="one-hot")
    W, b = ex.parameter("W", j, k), ex.parameter("b", k)
    z = ex.step("z", [i, k], Sum(x[i, j] * W[j, k], j) + b[k])
    t = ex.input("t", i, domain="index", below=K)
    a = ex.input("a")
    return ex, dict(locals())


def finished(ex: Exercise, n: dict) -> None:
    ex.loss("L", Sum(n["z"][n["i"], n["k"]] ** 2, n["i"], n["k"]))


# what is wrong: how it is written, and the words of the message
DEFINITIONS = {
    # indices
    "free on the right": (
        lambda ex, n: ex.step("p", [n["i"]], n["z"][n["i"], n["k"]]),
        r"exercise trial: k is free on the right but not among the indices of p\[i\]: sum over k, or add it on the",
    ),
    "free in a scalar": (
        lambda ex, n: ex.step("p", [], n["b"][n["k"]]),
        r"k is free on the right but not in the scalar p: sum over k",
    ),
    "free in an index": (
        lambda ex, n: ex.step("p", [], n["b"][n["t"][n["i"]]]),
        r"i is free on the right but not in the scalar p",
    ),
    "free on the left": (
        lambda ex, n: ex.step("p", [n["i"], n["k"]], n["b"][n["k"]]),
        r"i is an index of p but does not occur on the right: drop it",
    ),
    "bound, so not free, on the left": (
        lambda ex, n: ex.step("p", [n["k"]], Sum(n["b"][n["k"]], n["k"])),
        r"k is an index of p but does not occur on the right",
    ),
    "free in the loss": (
        lambda ex, n: ex.loss("L", n["z"][n["i"], n["k"]] ** 2),
        r"the loss L is not a scalar: i is free in it; sum or average over it",
    ),
    "an axis twice": (lambda ex, n: ex.step("p", [n["i"], n["i"]], 1), r"p has the index i twice"),
    "a foreign index": (
        lambda ex, n: ex.step("p", [sympy.Idx("m", n["N"])], 1),
        r"p: m is not an index of the exercise; make it with exercise.indices",
    ),
    "an index of another range": (
        lambda ex, n: ex.step("p", [sympy.Idx("i", n["D"])], 1),
        r"p: i is not an index of the exercise",
    ),
    "a sum over a symbol": (
        lambda ex, n: ex.step("p", [], Sum(n["a"] * Symbol("q"), (Symbol("q"), 0, 3))),
        r"p sums over q, which is not an index: make one with exercise.indices\(q=...\)",
    ),
    "a sum over a part of an axis": (
        lambda ex, n: ex.step("p", [], Sum(n["b"][n["k"]], (n["k"], 1, 3))),
        r"p sums k from 1 to 3, but its axis goes from 0 to K - 1: write Sum\(..., k\), with a Piecewise inside",
    ),
    "a sum up to another index": (
        lambda ex, n: ex.step("p", [n["i"]], Sum(n["b"][n["k"]], (n["k"], 0, n["i"]))),
        r"p sums k from 0 to i, but its axis goes from 0 to K - 1",
    ),
    # axes
    "axes that do not fit": (
        lambda ex, n: ex.step("p", [n["i"], n["j"]], n["z"][n["i"], n["j"]]),
        r"p uses z\[i, j\], but axis 2 of z has size K and j runs over D: z is indexed \[i, k\]",
    ),
    "axes that do not fit in a sum": (
        lambda ex, n: ex.loss("L", Sum(n["W"][n["k"], n["j"]], n["j"], n["k"])),
        r"L uses W\[k, j\], but axis 1 of W has size D and k runs over K",
    ),
    "too few indices": (
        lambda ex, n: n["z"][n["i"]],
        r"z has 2 axes \(N, K\) but is indexed with 1: write one index per",
    ),
    "too many indices": (lambda ex, n: n["b"][n["k"], n["k"]], r"b has 1 axis \(K\) but is indexed with 2"),
    "a constant index beyond the axis": (
        lambda ex, n: ex.step("q", [], ex.input("five", ex.indices(o=5))[5]),
        r"q uses five\[5\]: axis 1 of five ends at 4",
    ),
    "no indices at all": (
        lambda ex, n: ex.step("p", [n["i"], n["k"]], n["z"]),
        r"p uses z without indices: write z\[i, j\]",
    ),
    # order and names
    "used before it is defined": (
        lambda ex, n: ex.step("p", [], Symbol("late", real=True)),
        r"p uses late, which is not defined yet",
    ),
    "a typing slip": (
        lambda ex, n: ex.step("p", [n["i"]], IndexedBase("logit")[n["i"]] if ex.step("logits", [], n["a"]) else 0),
        r'p uses logit, which is not defined yet; did you mean "logits"',
    ),
    "used in itself": (
        lambda ex, n: ex.step("p", [], Symbol("p", real=True) + 1),
        r"p is used in its own definition: give the new value a name of its own",
    ),
    "another symbol of that name": (
        lambda ex, n: ex.step("p", [], Symbol("a") ** 2),
        r"p uses another a than the exercise's own: use the object that exercise.input, parameter, step or sizes",
    ),
    "another array of that name": (
        lambda ex, n: ex.step("p", [n["k"]], IndexedBase("b")[n["k"]]),
        r"p uses another b than the exercise's own",
    ),
    "an array for a scalar": (
        lambda ex, n: ex.step("p", [n["i"]], IndexedBase("a")[n["i"]]),
        r"p uses another a than the exercise's own",
    ),
    "a scalar for an array": (
        lambda ex, n: ex.step("p", [], Symbol("z", real=True)),
        r"p uses another z than the exercise's own",
    ),
    "an index's name as a number": (
        lambda ex, n: ex.step("p", [], Symbol("i", integer=True) + n["a"]),
        r"p uses i, which is not defined yet",
    ),
    "a name twice": (
        lambda ex, n: ex.step("z", [], n["a"]),
        r"z is already a quantity \(step\): sizes, indices and quantities share one namespace",
    ),
    "a size's name": (lambda ex, n: ex.input("N"), r"N is already a size"),
    "an index's name": (lambda ex, n: ex.input("i"), r"i is already an index"),
    "a quantity's name for a size": (lambda ex, n: ex.sizes("M W"), r"W is already a quantity \(parameter\)"),
    "a quantity's name for an index": (lambda ex, n: ex.indices(x=n["N"]), r"x is already a quantity \(input\)"),
    "a gradient's name": (
        lambda ex, n: ex.input("dW", n["j"]),
        r"dW is reserved for the gradient with respect to W: choose another name",
    ),
    "another of its names": (lambda ex, n: ex.step("grad_z", [], n["a"]), r"grad_z is reserved for the gradient with"),
    "a third of its names": (lambda ex, n: ex.step("dL_dz", [], n["a"]), r"dL_dz is reserved for the gradient with"),
    "a gradient's name taken first": (
        lambda ex, n: (ex.input("dq"), ex.step("q", [], n["a"])),
        r"dq is taken, but would be the gradient with respect to q: rename one of them",
    ),
    "a keyword": (lambda ex, n: ex.input("lambda"), r"input 'lambda' is not a plain name"),
    "no identifier": (lambda ex, n: ex.input("w new"), r"'w new' is not a plain name: letters, digits and _"),
    "no text": (lambda ex, n: ex.input(3), r"input 3 is not a plain name"),
    # domains, sizes
    "an unknown domain": (
        lambda ex, n: ex.input("q", domain="positiv"),
        r'q has the unknown domain "positiv"; did you mean "positive"\? known: real, positive',
    ),
    "an index without its bound": (
        lambda ex, n: ex.input("q", n["i"], domain="index"),
        r'q: domain="index" goes with below=V',
    ),
    "a bound without an index": (lambda ex, n: ex.input("q", n["i"], below=n["K"]), r'q: domain="index" goes with'),
    "a scalar that sums to one": (
        lambda ex, n: ex.input("q", domain="probability"),
        r'q: domain="probability" is about the last axis, and a scalar has none',
    ),
    "no sizes": (lambda ex, n: ex.sizes(""), r'write exercise.sizes\("N D"\)'),
    "no index": (lambda ex, n: ex.indices(), r"write exercise.indices\(i=N\)"),
    "an undeclared size": (
        lambda ex, n: ex.indices(m=Symbol("M", integer=True, positive=True)),
        r"index m=M: an index runs over a size.*declare M with exercise.sizes",
    ),
    "a size that is no whole number": (
        lambda ex, n: ex.indices(m=n["N"] / 2),
        r"index m=N/2: an index runs over a size",
    ),
    "an empty axis": (lambda ex, n: ex.indices(m=0), r"index m=0: an axis has at least one entry"),
    "a negative axis": (lambda ex, n: ex.indices(m=-2), r"index m=-2: an axis has at least one entry"),
    # formulas
    "text for a formula": (
        lambda ex, n: ex.step("p", [], "a + 1"),
        r"p = 'a \+ 1' is not a formula: write SymPy expressions, without quotes",
    ),
    "nothing for a formula": (lambda ex, n: ex.step("p", [], None), r"p = None is not a formula"),
    "a condition for a formula": (lambda ex, n: ex.step("p", [], n["a"] > 0), r"p = a > 0 is not a formula"),
    "a division by zero": (
        lambda ex, n: ex.step("p", [], log(sympy.S.Zero)),
        r"p = zoo is not a real number: look for",
    ),
    "a root of -1": (lambda ex, n: ex.step("p", [], n["a"] * sympy.sqrt(-1)), r"p = I\*a is not a real number"),
    "a function without a derivative": (
        lambda ex, n: ex.step("p", [], Function("g")(n["a"])),
        r"p: no derivative is known for g: use one of exp, log",
    ),
    "a function of two arguments without one": (
        lambda ex, n: ex.step("p", [], sympy.atan2(n["a"], n["a"] + 1)),
        r"p: no derivative is known for atan2",
    ),
    "a reduction over no index": (lambda ex, n: MaxOver(n["b"][n["k"]]), r"MaxOver needs the indices it runs over"),
    # ends and values
    "two losses": (
        lambda ex, n: (ex.loss("L", n["a"]), ex.loss("M", n["a"])),
        r"M is a second end of the program: an exercise has one loss, or outputs",
    ),
    "a loss after an output": (
        lambda ex, n: (ex.output("o", [], n["a"]), ex.loss("L", n["a"])),
        r"L is a second end of the program",
    ),
    "an output after a loss": (
        lambda ex, n: (ex.loss("L", n["a"]), ex.output("o", [], n["a"])),
        r"o is an output, but the exercise has a loss: it has either",
    ),
    "a step that uses the loss": (
        lambda ex, n: ex.step("p", [], ex.loss("L", n["a"]) + 1),
        r"p uses the loss L: keep the loss for the end; name the shared part with exercise.step",
    ),
    "a step that uses a gradient": (
        lambda ex, n: ex.step("p", [], ex.gradient("a")),
        r"p uses da, which is not defined yet",
    ),
    "a step that uses a value": (
        lambda ex, n: ex.step("p", [], ex.value("a_new", [], n["a"] - ex.gradient("a"))),
        r"p uses a_new, a value from after the backward pass: only values may",
    ),
    "a gradient with wrong axes": (
        lambda ex, n: ex.value("W_new", [n["k"], n["j"]], ex.gradient("W")[n["k"], n["j"]]),
        r"W_new uses dW\[k, j\], but axis 1 of .*has size D and k runs over K",
    ),
    # facts, examples
    "a fact about nothing": (lambda ex, n: ex.fact(n["N"], 3), r"the fact N = 3 is about no quantity"),
    "a fact about something else": (
        lambda ex, n: ex.fact(Symbol("q", real=True), 1),
        r"the fact q = 1 uses q, which is not defined",
    ),
    "an example of size 1": (lambda ex, n: ex.example(N=1), r"example\(N=1\): size 1 hides missing sums"),
    "an example of half a row": (lambda ex, n: ex.example(N=2.5), r"use a whole number from 2 up"),
    "an example of no size": (lambda ex, n: ex.example(M=3), r"example\(M=3\): M is not a size"),
    "a full size of no size": (lambda ex, n: ex.full_size(M=3), r"full_size\(M=...\): M is not a size"),
    "a full size left out": (lambda ex, n: ex.full_size(N=3, D=2), r"full_size\(...\) needs a whole number .* for K"),
    "a full size of zero": (lambda ex, n: ex.full_size(N=0, D=2, K=2), r"full_size\(...\) needs .* for N"),
    # the program as a whole, at validate()
    "no end": (lambda ex, n: ex.validate(), r"there is no loss and no output: end with exercise.loss\(...\)"),
    "an unused parameter": (
        lambda ex, n: (ex.parameter("V", n["k"]), finished(ex, n), ex.validate()),
        r"the parameter V is not used by any step: use it or remove it",
    ),
    "asking for nothing known": (
        lambda ex, n: (finished(ex, n), ex.ask("w"), ex.validate()),
        r'exercise trial has no quantity "w".*: it has x, y, W, b, z',
    ),
    "asking for integers": (
        lambda ex, n: (finished(ex, n), ex.ask("t"), ex.validate()),
        r"t is asked but holds integers, which have no gradient",
    ),
    "points for what is not asked": (
        lambda ex, n: (finished(ex, n), ex.points(z=2), ex.validate()),
        r"points\(z=...\): z is not asked; asked are W, b",
    ),
    "example sizes that repeat": (
        lambda ex, n: (finished(ex, n), ex.example(N=3, D=3), ex.validate()),
        r"repeat: equal sizes hide a transposed matrix",
    ),
    "an instance that gives a step": (
        lambda ex, n: (finished(ex, n), ex.instance(z=1), ex.validate()),
        r"instance\(z=...\): only inputs and parameters are given, z is computed",
    ),
    "an instance that lacks a value": (
        lambda ex, n: (finished(ex, n), ex.instance(a=1), ex.validate()),
        r"instance\(...\) gives no value for x, y, W, b, t",
    ),
    "an instance of something else": (
        lambda ex, n: (finished(ex, n), ex.instance(q=1), ex.validate()),
        r'exercise trial has no quantity "q"',
    ),
    "a gradient of nothing": (lambda ex, n: ex.gradient("q"), r'exercise trial has no quantity "q"'),
    "a quantity of nothing": (lambda ex, n: ex["Z"], r'exercise trial has no quantity "Z"'),
}


@pytest.mark.parametrize("wrong", DEFINITIONS)
def test_refused(wrong):
    define, words = DEFINITIONS[wrong]
    ex, names = sound()
    with pytest.raises(TutorError, match=words):
        define(ex, names)


@pytest.mark.parametrize("word", keyword.kwlist)
def test_no_keyword_is_a_name(word):
    with pytest.raises(ExerciseError, match="no Python keyword"):
        Exercise("trial").input(word)


def test_a_refused_definition_leaves_nothing_behind():
    ex, n = sound()
    before = dict(ex.quantities)
    with pytest.raises(ExerciseError):
        ex.step("p", [n["i"]], n["b"][n["k"]])
    assert ex.quantities == before
    ex.step("p", [n["k"]], n["b"][n["k"]])  # the name is still free


def test_a_lookup_error_of_ours_is_one_of_pythons():
    ex = Exercise("trial")
    ex.parameter("weights")
    with pytest.raises(LookupError, match='did you mean "weights"') as caught:
        ex["weight"]
    assert isinstance(caught.value, NotFoundError)


# -- what must be accepted ------------------------------------------------------------------

ACCEPTED = {
    "one letter names of SymPy": lambda ex, n: [ex.input(name) for name in ("C", "S", "E", "I", "Q", "O")],
    "d alone, and names that begin with d": lambda ex, n: [ex.input(name) for name in ("d", "data", "delta", "dz_old")],
    "a constant step": lambda ex, n: ex.step("c", [], Rational(1, 2)),
    "an axis of size one": lambda ex, n: ex.step("c", [ex.indices(o=1)], n["a"]),
    "an entry by number": lambda ex, n: ex.step("c", [], n["b"][0]),
    "two indices over one axis": lambda ex, n: ex.step(
        "G", [n["i"], ex.indices(g=n["N"])], n["x"][n["i"], 0] * n["x"][ex.index_symbols["g"], 0]
    ),
    "a number from an index": lambda ex, n: ex.step("c", [n["i"]], n["i"] * n["x"][n["i"], 0]),
    "a sum inside a sum over one axis": lambda ex, n: ex.step(
        "c", [], Sum(n["b"][n["k"]] * Sum(n["b"][n["k"]], n["k"]), n["k"])
    ),
    "a gather": lambda ex, n: ex.step("c", [n["i"]], n["z"][n["i"], n["t"][n["i"]]]),
    "a mask": lambda ex, n: ex.step(
        "c", [n["i"], n["k"]], Piecewise((n["z"][n["i"], n["k"]], n["i"] > n["k"]), (0, True))
    ),
    "an axis that is an expression": lambda ex, n: ex.step(
        "c",
        [ex.indices(o=n["N"] - n["K"] + 1)],
        Sum(n["x"][ex.index_symbols["o"] + n["k"], 0] * n["b"][n["k"]], n["k"]),
    ),
    "a maximum": lambda ex, n: ex.step("c", [n["i"]], MaxOver(n["z"][n["i"], n["k"]], n["k"])),
    "two outputs": lambda ex, n: (ex.output("o", [], n["a"]), ex.output("u", [], n["a"] ** 2)),
    "a value of values": lambda ex, n: ex.value("v2", [], 2 * ex.value("v1", [], n["a"] - ex.gradient("a"))),
    "a value of the loss": lambda ex, n: ex.value("v1", [], ex.loss("L", n["a"]) * 2),
}


@pytest.mark.parametrize("right", ACCEPTED)
def test_accepted(right):
    ex, names = sound()
    ACCEPTED[right](ex, names)


def test_one_object_for_one_name_and_a_tuple_for_several():
    ex = Exercise("trial")
    N = ex.sizes("N")
    assert N.name == "N" and N.is_integer and N.is_positive
    assert len(ex.sizes("D K")) == len(ex.sizes("A, B")) == 2
    i = ex.indices(i=N)
    assert i.upper == N - 1
    assert len(ex.indices(h=N, g=N)) == 2


def test_what_is_asked_defaults_to_the_parameters_with_one_point_each():
    ex, n = sound()
    finished(ex, n)
    assert ex.asked == {"W": 1.0, "b": 1.0}
    ex.points(W=2)
    assert ex.asked == {"W": 2.0, "b": 1.0}
    ex.ask("z", "W")
    assert ex.asked == {"z": 1.0, "W": 2.0}
    ex.validate()


def test_domains_bring_their_facts():
    ex, n = sound()
    (fact,) = ex.facts
    assert fact.left == Sum(n["y"][n["i"], n["k"]], n["k"])
    assert fact.right == 1 and fact.reason == "the rows of y are one-hot"


def test_the_parts_of_a_finished_program():
    ex, n = sound()
    e = ex.step("e", [n["i"], n["k"]], exp(n["z"][n["i"], n["k"]]))
    ex.loss("L", Sum(log(e[n["i"], n["k"]]), n["i"], n["k"]))
    v = ex.value("b_new", [n["k"]], n["b"][n["k"]] - ex.gradient("b")[n["k"]])
    ex.validate()
    assert v == ex["b_new"].symbol
    assert [q.name for q in ex.leaves] == ["x", "y", "W", "b", "t", "a"]
    assert [q.name for q in ex.forward] == ["z", "e", "L"]
    assert [q.name for q in ex.ends] == ["L"]
    assert [q.name for q in ex.values] == ["b_new"]
    assert ex["z"].shape == (n["N"], n["K"])
    assert ex["e"].reads == {"z"}
    assert not ex["t"].differentiable and ex["y"].differentiable
    assert ex.gradient_quantity(ex["W"]).indices == ex["W"].indices


def test_a_piecewise_that_sympy_takes_out_of_an_inner_sum_is_reported():
    ex = Exercise("cumulated")
    N, K = ex.sizes("N K")
    i, k, m = ex.indices(i=N, k=K, m=K)
    x = ex.parameter("x", i, k)
    inner = Sum(Piecewise((x[i, m], m <= k), (0, True)), m)
    with pytest.raises(ExerciseError, match="m has left its sum in q: .* name the inner sum with exercise.step"):
        ex.step("q", [i], Sum(x[i, k] * inner**2, k))
    c = ex.step("c", [i, k], inner)
    ex.step("q", [i], Sum(x[i, k] * c[i, k] ** 2, k))
