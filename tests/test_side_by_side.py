"""Draws computed side by side give what each gives alone, and a sheet costs no more than is counted."""

from collections.abc import Iterator

import pytest
import torch

import tutor
from tutor.checking import library, lines, precision
from tutor.checking import side_by_side as together
from tutor.checking.check import read_answer
from tutor.checking.interpret import Failure, Run
from tutor.checking.lines import SheetJudge
from tutor.checking.outline import Outline, names_of
from tutor.checking.side_by_side import BUILTINS, known, side_by_side
from tutor.checking.truth import points
from tutor.symbolic.notation import sheet_form


def judged(address: str, text: str) -> SheetJudge:
    exercise = tutor.load(address)
    return SheetJudge(exercise, read_answer(exercise, text), 0)


def indexed(address: str) -> str:
    """Every gradient with indices, as the tutor prints it."""
    exercise = tutor.load(address)
    ends = {q.name for q in exercise.ends}
    made = [g for g in tutor.derive(exercise).gradients.values() if g.name not in ends]
    return "\n".join(f"{sheet_form(g.entry, exercise)} = {sheet_form(g.expr, exercise)}" for g in made)


def torch_lines(exercise) -> str:
    """Every gradient in torch, as the tutor prints it."""
    ends = {q.name for q in exercise.ends}
    made = [g for g in tutor.derive(exercise).gradients.values() if g.name not in ends]
    return "\n".join(f"{g.symbol_name} = {g.torch}" for g in made if g.torch)


MEMBERS = [entry.id for entry in tutor.entries()]
SHEETS = {
    "gather": ("embedding", "demb[n,d] = 2*(E[t[n],d] - y[n,d])/(N*D)\n"
               "dE[v,d] = Sum(demb[n,d]*KroneckerDelta(v, t[n]), n)"),
    "limits": ("softmax-regression", "dz[i,k] = (p[i,k] - y[i,k])/N\ndb[k] = Sum(dz[i,k], (i, 0, N - 1))"),
    "scalars": ("linear-regression-batch", "dr[i] = r[i]/N\ndb = Sum(r[i], i)/N\na = db*2\n"
                "dw[j] = Sum(X[i,j]*r[i], i)/N + a - 2*db"),
    "piecewise": ("mlp", "dy_pred[n,i2] = 2*(y_pred[n,i2] - y[n,i2])/(N*D2)\n"
                  "dh1[n,i1] = Sum(dy_pred[n,i2]*W2[i1,i2], i2)\n"
                  "dz1[n,i1] = Piecewise((dh1[n,i1], z1[n,i1] > 0), (0, True))"),
    "numbers": ("softmax-regression", "c = 2\ndz[i,k] = c*(p[i,k] - y[i,k])/(2*N)"),
    "unreadable": ("softmax-regression", "dz[i,k] = (p[i,k] - y[i,k])/N\ndb[k] = Sum(dz[i,q], i)\ndW = x.T @ dz"),
    "shapes": ("softmax-regression", "dz = (p - y)/N\ndW = x @ dz\ndb = dW.sum(0)"),
    "torch-style": ("softmax-regression", "dz = (p - y)/N\ndW[j,k] = Sum(x[i,j]*dz[i,k], i)\ndb = dz.sum(0)"),
    "several-names": ("linear-regression-batch", "dr[i] = r[i]/N\na = c = e = b\ndb = dr.sum()"),
    "a-shape": ("softmax-regression", "n = x.shape[0]\ndz = (p - y)/n"),
    "wrong": ("softmax-regression", "dz[i,k] = (p[i,k] + y[i,k])/N\ndW[j,k] = Sum(x[i,j]*dz[i,k], i)"),
    "max": ("softmax-regression", "m[i] = MaxOver(z[i,k], k)\n"
            "dz[i,k] = (exp(z[i,k] - m[i])/Sum(exp(z[i,l] - m[i]), l) - y[i,k])/N"),
}  # fmt: skip


# exercises that go draw by draw: few draws are made of what is large, and not every function means the same at once
BY_ONE = {
    "indices": "conv2d logdet-solve makemore-mlp".split(),
    "torch": "conv1d conv2d embedding-view logdet-solve makemore-mlp pooling".split(),
}


@pytest.mark.parametrize("style", BY_ONE)
@pytest.mark.parametrize("address", MEMBERS)
def test_printed_sheets_mean_the_same_side_by_side(address, style):
    exercise = tutor.load(address)
    text = indexed(address) if style == "indices" else torch_lines(exercise)
    same_as_alone(judged(address, text), some=address not in BY_ONE[style])


@pytest.mark.parametrize("name", SHEETS)
def test_draws_side_by_side_are_what_each_is_alone(name):
    address, text = SHEETS[name]
    same_as_alone(judged(address, text), some=True)


def same_as_alone(judge: SheetJudge, some: bool) -> None:
    """Values and failures of the sheet at each draw are those of a run of that draw; `some` went side by side."""
    sides = judge._at_once(judge.pinned, judge.points.beside)
    assert bool(sides) == some
    for places in judge.points.groups:
        side = sides.get(places[0])
        for run, point in zip(
            map(side.one, range(side.count)) if side else (), judge.points.beside(places), strict=bool(side)
        ):
            same(Run(judge.outline, point, judge.pinned(point)).execute(), run)


def same(alone: Run, run: Run, what: str = "") -> None:
    assert alone.values.keys() == run.values.keys() and alone.seen.keys() == run.seen.keys(), what
    assert {n: f.kind for n, f in alone.failures.items()} == {n: f.kind for n, f in run.failures.items()}, what
    assert alone.limits.steps == run.limits.steps
    for mine, other in ((alone.values, run.values), (alone.seen, run.seen)):
        for key, value in mine.items():
            if isinstance(value, torch.Tensor):
                assert value.dtype == other[key].dtype, what
                torch.testing.assert_close(other[key], value, rtol=1e-12, atol=1e-14, equal_nan=True, msg=what or None)
            else:
                assert isinstance(value, Failure) or other[key] == value, what


ALONE = {
    "beyond-an-axis": ("embedding", "demb = 2*(emb - y)/(N*D)\nc = E[t + 100]"),
    "roll": ("linear-regression-batch", "db = (r/N).sum().roll(1)"),
    "index-select": ("word2vec-softmax", "dv = U.T @ p - U.index_select(0, o).squeeze(0)"),
    "no-such-class": ("cross-entropy", "dz = (e/s[:, None] - F.one_hot(y, K - 1).sum())/N"),
    "no-such-row": ("word2vec-softmax", "dv = U.T @ p - U[o] + 0*F.embedding(o + 1, U)"),
    "no-axes": ("softmax-regression", "dz = (p - y).sum(())/N"),
    "loops": ("softmax-regression", "dz[i,k] = (p[i,k] - y[i,k])/N\nfor n in range(2):\n    a = 2"),
    "a-branch": ("softmax-regression", "if p.sum() > 1:\n    dz = (p - y)/N\nelse:\n    dz = p"),
    "updates": ("softmax-regression", "dz[i,k] = p[i,k]/N\ndz[i,k] -= y[i,k]/N"),
    "in-place": ("softmax-regression", "dz = p.clone()\ndz -= y\ndz /= N"),
    "view": ("softmax-regression", "dz = ((p - y)/N).view(N, K)"),
    "tuples": ("linear-regression-batch", "dr = r/N\na, c = dr.shape, 2"),
}


@pytest.mark.parametrize("name", ALONE)
def test_what_vmap_has_no_way_for_is_computed_draw_by_draw(name):
    judge = judged(*ALONE[name])
    assert not judge._at_once(judge.pinned, judge.points.beside)
    assert len(judge.runs) == len(judge.points) > 2


def test_a_mistake_that_shows_at_one_draw_only_is_found_side_by_side():
    text = "dz[i,k] = (p[i,k] - y[i,k])/N\ndW[j,k] = Sum(Abs(x[i,j])*dz[i,k], i)"
    assert tutor.check("softmax-regression", text).line("dW").verdict == "wrong"


# -- what is counted ------------------------------------------------------------------------------------------------


def test_many_wrong_lines_are_judged_and_the_first_ones_explained():
    text = "\n".join(f"dW = x @ (p - {n}*y)" for n in range(3, 120))
    report = tutor.check("softmax-regression", text)
    assert {line.verdict for line in report} == {"wrong"} and len(report.lines) == 117
    assert any("too many wrong lines" in note for note in report.notes)


def test_a_few_wrong_lines_are_all_explained():
    text = "\n".join(f"dz = {n}*(p - y)/N" for n in range(2, 12))
    report = tutor.check("softmax-regression", text)
    assert all(line.mistakes for line in report) and not report.notes


def test_a_search_is_paid_by_the_sheet():
    judge = judged("softmax-regression", "dz = (p + y)/N\ndW = x @ dz")
    judge.report()
    assert 0 < judge.searched <= lines.MANY_SEARCHED


def test_lines_that_lose_their_digits_are_never_wrong_however_many():
    sheet = [f"a{n} = (w + 1e12*{n + 1}) - 1e12*{n + 1}" for n in range(60)]
    sheet += [f"dw = 2*(a{n}*x + b - y)*x" for n in range(60)]
    judge = judged("linear-regression", "\n".join(sheet))
    report = judge.report()
    assert "wrong" not in {line.verdict for line in report}
    assert judge.doubt.steps < 2 * precision.MOST_STEPS


def test_wrong_lines_stay_wrong_when_noise_is_no_longer_afforded(monkeypatch):
    monkeypatch.setattr(precision, "MOST_STEPS", 0)
    report = tutor.check("linear-regression", "dw = 2*(y_pred - y)*x\ndw = 2*(y_pred + y)*x\ndb = 2*(y_pred - y)*b")
    assert [line.verdict for line in report] == ["correct", "wrong", "wrong"]


def test_what_a_line_reads_is_in_the_same_order_in_every_process():
    given = [f"d{name} = {name}" for name in ("z", "e", "s", "p", "W", "b")]
    judge = judged("softmax-regression", "\n".join([*given, "dx = dz + de + ds + dp + dW + db"]))
    assert list(judge.outline.segments[-1].sources) == ["dW", "db", "de", "dp", "ds", "dz"]


# -- functions -------------------------------------------------------------------------------------------------------

OPERANDS = ["z", "s", "L", "y", "(z > 0)", "z[:0]", "z[None]", "z[:, :1]", "2.5"]
OTHERS = ["K", "z", "s", "L", "y", "z.T", "0", "1", "-1", "(0, 1)", "2"]


OWN = {  # what takes no tensor first, or more than two operands
    "Rational": ["Rational(1, 2)", "Rational(K, 2)*z"],
    "arange": ["torch.arange(K)", "np.arange(K)*z", "torch.arange(1, K)"],
    "einsum": ["torch.einsum('ij,ij->i', z, z)", "torch.einsum('ij->ji', z)", "torch.einsum('ij,i->j', z, s)"],
    "bmm": ["torch.bmm(z[None], z.T[None])", "z[:, None].bmm(z[..., None])", "torch.bmm(z[None], z)"],
    "mv": ["torch.mv(z.T, s)", "z[None].mv(s)"],
    "broadcast_to": [
        "torch.broadcast_to(s[:, None], (N, K))",
        "np.broadcast_to(s, (K, N))",
        "torch.broadcast_to(s, (K, K + N))",
    ],
    "expand": ["s[:, None].expand(N, K)", "s.expand(K, -1)", "L.expand(2, 3)", "s.expand(N, K)", "y.expand(2, N)"],
    "expand_as": ["s[:, None].expand_as(z)", "s.expand_as(z.T)", "L.expand_as(z)", "s.expand_as(z)"],
    "index_add": [
        "torch.zeros(K, N).index_add(0, y, torch.eye(N))",
        "torch.index_add(torch.ones_like(z), 1, y, z[:, y])",
        "torch.zeros(K).index_add(0, y, s, alpha=2)",
        "s.index_add(0, y, s)",
        "torch.zeros(K).index_add(0, y + 1, s)",
        "torch.zeros(K).index_add(0, torch.tensor([0, 0, 1]), torch.ones(3))",
        "torch.zeros(K).index_add(0, y, z)",
    ],
    "pad": [
        "F.pad(z, (1, 2))",
        "F.pad(z, (0, 1, 2, 0))",
        "F.pad(s, (1, -1), value=3)",
        "F.pad(z, (1, 2, 3))",
        "F.pad(y, (1, 0))",
    ],
    "scatter_add": [
        "torch.zeros(N, K).scatter_add(1, y[:, None], s[:, None])",
        "torch.zeros(K).scatter_add(0, y, s)",
        "torch.zeros_like(z).scatter_add(1, y[:, None] + 1, s[:, None])",
    ],
    "eye": ["torch.eye(K)", "torch.eye(K)[y]", "z @ np.eye(K)"],
    "full": ["torch.full((N, K), 2.0)", "np.full(K, 3)*z"],
    "identity": ["np.identity(K)", "z @ np.identity(K)"],
    "list": ["z.sum(list(range(2)))"],
    "masked_fill": ["z.masked_fill(z > 0, 0)", "torch.masked_fill(z, z > 0, 1.5)", "z.masked_fill(s[:, None] > 1, s)"],
    "ones": ["torch.ones(N, K)", "np.ones((N, K))*z"],
    "range": ["z.sum(tuple(range(2)))", "z[:, range(1, K)]"],
    "reversed": ["z.permute(tuple(reversed(range(2))))"],
    "tuple": ["z.sum(tuple(range(2)))"],
    "zeros": ["torch.zeros(N, K)", "np.zeros((N, K)) + z"],
}


def calls(name: str) -> Iterator[str]:
    """A function with all kinds of operands, also those that it refuses."""
    yield from OWN.get(name, ())
    for a in OPERANDS:
        for start, rest in ((f"{a}.{name}(", ""), (f"torch.{name}({a}", ", "), (f"{name}({a}", ", ")):
            yield f"{start})"
            for b in OTHERS:
                yield f"{start}{rest}{b})"
            yield f"{start}{rest}0, 1)"
            yield f"{start}{rest}1, keepdim=True)"
            yield f"{start}{rest}dim=-1)"
        for b in OTHERS[:6]:
            yield f"torch.{name}([{a}, {b}])"
            yield f"np.{name}({a}, {b})"
            yield f"{name}({a}, {b})"
            yield f"torch.{name}({a}, {b}, 1)"


TABLES = (library.FUNCTION, library.METHOD, library.NUMPY)
AT_ONCE = sorted({name for table in TABLES for name in table if known(name)} | BUILTINS)


@pytest.mark.parametrize("name", AT_ONCE)
def test_a_function_means_the_same_at_once(name):
    exercise = tutor.load("cross-entropy")
    draws = points(exercise, 0)
    places = max(draws.groups, key=len)[:4]
    together = 0
    for call in calls(name):
        outline = Outline(read_answer(exercise, f"a = {call}"), exercise, names_of(exercise))
        members = [draws[n] for n in places]
        side = side_by_side(outline, members, draws.stacked(members), [{}] * len(members))
        together += side is not None and not side.run.failures
        for run, point in zip(map(side.one, range(side.count)) if side else (), members, strict=side is not None):
            same(Run(outline, point).execute(), run, call)
    assert together, "with no operand it has a value"


def test_an_alias_of_scalars_is_told_at_once_as_well():
    judge = judged("linear-regression", "db = 2*(y_pred - y)\nc = db\nc *= x\ndw = c")
    assert judge.outline.elementwise and judge._at_once(judge.pinned, judge.points.beside)
    assert judge.runs[0].disturbed and "aliasing" in str(judge.report())


def test_a_wrong_line_without_entries_is_judged():
    report = tutor.check("linear-regression", "dL = y\ndL = w.shape\ndw = x")
    assert report.line("dL").verdict == "wrong"


def test_more_classes_than_a_tensor_can_have_are_refused():
    report = tutor.check("cross-entropy", "a = F.one_hot(y, 2**70)\nds = a.sum(1)")
    assert report.verdict == "unreadable" and "our own fault" not in str(report)


@pytest.mark.parametrize("name", SHEETS)
def test_a_torch_without_those_parts_of_vmap_has_vmap_itself(name, monkeypatch):
    monkeypatch.setattr(together, "_levels", lambda: None)
    same_as_alone(judged(*SHEETS[name]), some=True)


@pytest.mark.parametrize("name", SHEETS)
def test_all_lines_at_once_are_right_where_each_is(name):
    judge = judged(*SHEETS[name])
    for state in judge.states:
        meaning = judge.meaning(state.segment)
        given = [judge.value(run, state.segment) for run in judge.runs]
        if meaning.kind in ("gradient", "local", "value") and judge.failure(state.segment) is None:
            assert judge.outcome_of(state.segment, meaning) == judge.outcome(meaning, given)


def test_what_is_asked_of_a_run_at_once_is_that_of_its_draws():
    judge = judged("softmax-regression", "dz = (p - y)/N\ndW = 0*x.T @ dz\ndb = dz.sum(0)")
    for state in judge.states:
        drawn = judge.values_of(state.segment)
        alone = [judge.value(run, state.segment) for run in judge.runs]
        assert len(drawn) == len(judge.points) == len(judge.runs) and drawn.whole
        assert all(map(torch.equal, drawn, alone)) and torch.equal(drawn[0], alone[0])
        assert drawn.sums() == pytest.approx([float(value.abs().sum()) for value in alone])
        assert drawn.flat([torch.Size((1, 2, 3))] * len(judge.points.groups)) is None


def test_a_shape_for_a_gradient_is_wrong_also_where_a_line_before_it_left_the_floats():
    report = tutor.check("layer-norm", "# sizes: D=2\na = xc/0\ndgamma = dy.shape")
    assert report.line("dgamma").verdict == "wrong"


@pytest.mark.parametrize("weight", ["2.0", "N", "x[None]"])
def test_a_layer_has_a_matrix_for_its_weight(weight, recwarn):
    line = tutor.check("softmax-regression", f"dW = F.linear(x, {weight})").line("dW")
    assert line.verdict == "wrong" and "the weight of linear" in line.reason and not recwarn.list
