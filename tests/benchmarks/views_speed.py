"""Views of torch written as index maps: how long our plans take, against torch's own view code for the same.

    python tests/benchmarks/views_speed.py

One line for each map; a ratio of 1 is torch's own time. Both sides end with whole tensors (`contiguous`): what uses a
view has to read it. A run of any plan costs a few microseconds before its first call, which the first line shows; at
these sizes that is most of what a lone view takes.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from sympy import Expr, Idx, Mod, Piecewise, Symbol, floor
from torch.nn.functional import pad

import tutor
from tutor import Exercise
from tutor.numeric.programs import backward_plan, forward_plan

SIZES = {"B": 8, "T": 64, "R": 4, "D": 32, "M": 16, "H": 8, "W": 16, "A": 96, "G": 32}
ROUNDS = 300

B, T, R, D, M, H, W, A, G = (Symbol(name, integer=True, positive=True) for name in SIZES)


def made(name: str, **ranges: Expr) -> tuple[Exercise, dict[str, Idx]]:
    ex = Exercise(name)
    used = sorted({s.name for extent in ranges.values() for s in extent.free_symbols})
    ex.sizes(" ".join(used))
    indices = ex.indices(**ranges) if len(ranges) > 1 else (ex.indices(**ranges),)
    return ex, dict(zip(ranges, indices, strict=True))


def heads():
    ex, i = made("heads", b=B, t=T, r=R, d=D, m=3 * R * D)
    b, t, r, d = (i[n] for n in "btrd")
    z = ex.parameter("z", b, t, i["m"])
    for number, name in enumerate("qkv"):
        ex.output(name, [b, r, t, d], z[b, t, number * R * D + r * D + d])
    b_, t_, r_, d_ = (SIZES[n] for n in "BTRD")

    def forward(z):
        return [x.view(b_, t_, r_, d_).transpose(1, 2) for x in z.split(r_ * d_, 2)]

    def backward(dq, dk, dv):
        return [torch.cat([g.transpose(1, 2).reshape(b_, t_, r_ * d_) for g in (dq, dk, dv)], 2)]

    return ex, forward, backward


def side_by_side():
    ex, i = made("side-by-side", b=B, t=T, r=R, d=D, c=R * D)
    b, t, c = i["b"], i["t"], i["c"]
    o = ex.parameter("o", b, i["r"], t, i["d"])
    ex.output("y", [b, t, c], o[b, floor(c / D), t, Mod(c, D)])
    b_, t_, r_, d_ = (SIZES[n] for n in "BTRD")
    return (
        ex,
        lambda o: [o.transpose(1, 2).reshape(b_, t_, r_ * d_)],
        lambda dy: [dy.view(b_, t_, r_, d_).transpose(1, 2)],
    )


def flatten():
    ex, i = made("flatten", n=B, c=R, h=H, w=W, m=R * H * W)
    n, m = i["n"], i["m"]
    x = ex.parameter("x", n, i["c"], i["h"], i["w"])
    ex.output("f", [n, m], x[n, floor(m / (H * W)), Mod(floor(m / W), H), Mod(m, W)])
    n_, c_, h_, w_ = (SIZES[s] for s in "BRHW")
    return ex, lambda x: [x.flatten(1)], lambda df: [df.view(n_, c_, h_, w_)]


def concatenation():
    ex, i = made("concatenation", b=B, t=T, i=A, j=G, m=A + G)
    b, t, m = i["b"], i["t"], i["m"]
    a = ex.parameter("a", b, t, i["i"])
    g = ex.parameter("g", b, t, i["j"])
    ex.output("c", [b, t, m], Piecewise((a[b, t, m], m < A), (g[b, t, m - A], True)))
    a_, g_ = SIZES["A"], SIZES["G"]
    return ex, lambda a, g: [torch.cat([a, g], 2)], lambda dc: dc.split([a_, g_], 2)


def prefix():
    ex, i = made("prefix", t=T, p=T + M, d=D)
    P = ex.parameter("P", i["p"], i["d"])
    ex.output("y", [i["t"], i["d"]], P[i["t"], i["d"]])
    t_, m_ = SIZES["T"], SIZES["M"]
    return ex, lambda P: [P[:t_]], lambda dy: [pad(dy, (0, 0, 0, m_))]


def select():
    ex, i = made("select", b=B, t=T, d=D)
    x = ex.parameter("x", i["b"], i["t"], i["d"])
    ex.output("s", [i["b"], i["d"]], x[i["b"], 2, i["d"]])

    def backward(ds):
        dx = ds.new_zeros(SIZES["B"], SIZES["T"], SIZES["D"])
        dx[:, 2] = ds
        return [dx]

    return ex, lambda x: [x[:, 2]], backward


def every_second():
    ex, i = made("every-second", b=B, t=T, d=2 * D, k=D)
    x = ex.parameter("x", i["b"], i["t"], i["d"])
    ex.output("s", [i["b"], i["t"], i["k"]], x[i["b"], i["t"], 2 * i["k"]])

    def backward(ds):
        dx = ds.new_zeros(SIZES["B"], SIZES["T"], 2 * SIZES["D"])
        dx[:, :, ::2] = ds
        return [dx]

    return ex, lambda x: [x[:, :, ::2]], backward


def moved():
    ex, i = made("moved", b=B, l=T + 1, k=T)
    x = ex.parameter("x", i["b"], i["l"])
    ex.output("s", [i["b"], i["k"]], x[i["b"], i["k"] + 1])
    return ex, lambda x: [x[:, 1:]], lambda ds: [pad(ds, (1, 0))]


def nothing():
    ex, i = made("nothing", b=B)
    x = ex.parameter("x", i["b"])
    ex.output("y", [i["b"]], x[i["b"]])
    return ex, lambda x: [x], lambda dy: [dy]


PROGRAMS = (nothing, heads, side_by_side, flatten, concatenation, prefix, select, every_second, moved)


def median(call: Callable[[], object], other: Callable[[], object]) -> tuple[float, float]:
    """Microseconds of both, taken in turn."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for run, kept in zip((call, other), times, strict=True):
            start = time.perf_counter()
            run()
            kept.append(time.perf_counter() - start)
    return statistics.median(times[0]) * 1e6, statistics.median(times[1]) * 1e6


def main() -> None:
    torch.set_num_threads(1)
    print(f"{'map':16}{'pass':10}{'ours':>9}{'torch':>9}   ratio   (microseconds)")
    for program in PROGRAMS:
        ex, forward, backward = program()
        sizes = {name: SIZES[name] for name in ex.size_symbols}
        values = tutor.sample(ex, sizes=sizes).values
        values = {name: x.float().contiguous() for name, x in values.items()}
        leaves = [values[q.name] for q in ex.leaves]
        above = [torch.randn_like(values[q.name]).contiguous() for q in ex.ends]
        values |= {f"d{q.name}": g for q, g in zip(ex.ends, above, strict=True)}
        plans = {"forward": (forward_plan(ex), forward, leaves), "backward": (backward_plan(ex), backward, above)}
        for name, (plan, native, given) in plans.items():
            ours = list(plan.run(values, sizes).values())
            assert all(torch.equal(x, y) for x, y in zip(ours, native(*given), strict=True))
            mine, theirs = median(
                lambda plan=plan, values=values, sizes=sizes: [
                    x.contiguous() for x in plan.run(values, sizes).values()
                ],
                lambda native=native, given=given: [x.contiguous() for x in native(*given)],
            )
            print(f"{ex.name:16}{name:10}{mine:9.1f}{theirs:9.1f}{mine / theirs:8.2f}")


if __name__ == "__main__":
    main()
