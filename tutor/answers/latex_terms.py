r"""Terms of LaTeX: factors side by side and operators between them; `\sum` and functions take what follows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lark import Token, Tree

from tutor.answers import language as lang
from tutor.answers import latex_constants as constants
from tutor.answers import latex_trees as look
from tutor.answers.latex_names import (
    CALLED,
    LOOSE,
    MAX_INSIDE,
    OF_A_WHOLE,
    OWN_FUNCTION,
    REDUCTIONS,
    SEVERAL,
    TOO_MANY,
    WHOLE,
    Value,
)
from tutor.answers.python import MAX_DEPTH
from tutor.errors import ReadingError
from tutor.language import said
from tutor.symbolic.functions import FUNCTIONS

if TYPE_CHECKING:
    from tutor.answers.latex_meaning import Meaning


class Chain:
    r"""A term: factors side by side and operators between them; `\sum` and functions take what follows."""

    def __init__(self, meaning: Meaning, parts: Sequence[Any], minus: int | None = None):
        self.m, self.parts = meaning, list(parts)
        self.minus = minus  # where a sign stands inside: \sum_i -x_i
        self.position = 0

    def value(self) -> Value:
        m = self.m
        m.depth += 1
        if m.depth > MAX_INSIDE:
            raise m.refuse(self.parts, said("too many things inside each other: use a helper of your own"))
        made = self._value()
        m.depth -= 1
        return made

    def _value(self) -> Value:
        made: Value | None = None
        if len(self.parts) > 2 * MAX_DEPTH:
            raise self.m.refuse(self.parts, TOO_MANY)
        start = self.position
        while self.position < len(self.parts):
            op = self._operator()
            if made is None and op is not None:
                raise self.m.refuse(self.parts[self.position - 1], said("an operator without anything on its left"))
            if self.position >= len(self.parts):
                raise self.m.refuse(
                    self.parts[-1],
                    said("an operator without anything on its right; a sign after it stands in parentheses"),
                )
            if isinstance(self.parts[self.position], Token):
                raise self.m.refuse(self.parts[self.position], said("two operators stand side by side"))
            begun = self.position
            negative = self.minus == begun
            factor = self.factor()
            if negative:
                factor = self.m.negative(self.parts[begun:], factor)
            tree = self.parts[start : self.position]
            if made is None:
                made = factor
            elif op is None:
                self._beside(begun)
                made = self.m.product(tree, made, factor)
            elif op == "/":
                made = self.m.operated(tree, op, made, factor)
                self._after_slash(begun)
            else:
                factor = self._side_by_side(begun, factor)
                made = self.m.operated(self.parts[start : self.position], op, made, factor)
        if made is None:
            raise ReadingError(said("nothing stands here"))
        return made

    def _side_by_side(self, begun: int, made: Value) -> Value:
        r"""`A \odot B C` is A \odot (B C): what stands side by side holds together more tightly than an operator."""
        while self.position < len(self.parts) and not isinstance(self.parts[self.position], Token):
            at = self.position
            factor = self.factor()
            self._beside(at)
            made = self.m.product(self.parts[begun : self.position], made, factor)
        return made

    def _operator(self) -> str | None:
        if isinstance(self.parts[self.position], Token):
            self.position += 1
            return str(self.parts[self.position - 1])
        return None

    def _beside(self, at: int) -> None:
        """A number is not written after what it multiplies."""
        part, before = self.parts[at], self.parts[at - 1]
        if at and look.unit_of(part, "NUMBER") and not any(s.data == "below" for s in part.children[1:]):
            if isinstance(before, Tree) and any(
                s.data == "above" and look.leaf(s.children[-1], "NUMBER") for s in before.children[1:]
            ):
                raise self.m.refuse(part, said("more than one digit above stands in braces: write x^{10}"))
            if look.unit_of(before, "NUMBER") or look.unit_of(before, "WORD"):
                raise self.m.refuse(
                    part, said("a number after a name is a product, an index or a power: write 2x, x_{2} or x^2")
                )

    def _after_slash(self, begun: int) -> None:
        r"""`a / b c` has two readings; `1/N \sum` and `1/(2N) (p - y)` have one."""
        if self.position >= len(self.parts) or isinstance(self.parts[self.position], Token):
            return
        after, below = self.parts[self.position], self.parts[begun]
        if look.big(after) or (isinstance(below, Tree) and below.children[0].data == "group"):
            return
        raise self.m.two_ways(
            after, "a / b c", ("(a / b) c", "a / (b c)"), said(r"write \frac{a}{b} c, or parentheses")
        )

    def rest(self) -> list[Any]:
        made = self.parts[self.position :]
        self.position = len(self.parts)
        return made

    # -- factors --

    def factor(self) -> Value:
        part = self.parts[self.position]
        atom = part.children[0]
        if look.loose(part) and len(self.parts) > 1:
            raise self.m.refuse(part, LOOSE)
        if atom.data == "leaf":
            token = look.token_of(atom)
            if token.type == "PARTIAL" and any(s.data == "below" for s in part.children[1:]):
                return self._nabla()  # \partial_W L
            if token.type == "PARTIAL":
                return self._inline_derivative()
            if token.type == "NABLA":
                return self._nabla()
            if token.type == "BIG" or (token.type == "FUNCTION" and self._reduces(part, str(token))):
                return self._reduction(part, str(token))
            if token.type == "ONE" or (token.type in ("WORD", "ROMAN") and self._is_identity(str(token))):
                return self._one(part, str(token))
            if token.type in ("WORD", "ROMAN") and not self.m.indexing:
                made = self._differentiated(part, str(token))
                if made is not None:
                    return made
            if token.type == "GREEK" and str(token) == "delta" and (made := self._kronecker(part)) is not None:
                return made
            function = self._function_name(token)
            if function is not None:
                return self._function(part, function)
        self.position += 1
        return self.m.unit(part)

    def _next(self) -> Any:
        return self.parts[self.position] if self.position < len(self.parts) else None

    # -- derivatives --

    def _inline_derivative(self) -> Value:
        r"""`\partial L / \partial W`"""
        start, parts = self.position, self.parts
        taken = parts[start : start + 5]
        kinds = ["/" if isinstance(part, Token) and str(part) == "/" else type(part) for part in taken]
        if kinds == [Tree, Tree, "/", Tree, Tree] and look.unit_of(taken[3], "PARTIAL"):
            made = self.m.derivative(taken, taken[:2], taken[3:])
            if made is not None:
                self.position += 5
                return made
        loss = self.m.names.losses[0] if self.m.names.losses else "L"
        raise self.m.refuse(
            parts[start], said(r"\partial stands in a derivative: \frac{{\partial {loss}}}{{\partial W}}", loss=loss)
        )

    def _nabla(self) -> Value:
        m, part = self.m, self.parts[self.position]
        _, below, above, primes = m.scripts(part)
        loss = m.names.losses[0] if m.names.losses else "L"
        usage = said(r"a gradient is written \nabla_W {loss}", loss=loss)
        self.position += 1
        following = self._next()
        if (
            below is None
            or above is not None
            or primes
            or not isinstance(following, Tree)
            or m._bare(following) is None
        ):
            raise m.refuse(part, usage)
        self.position += 1
        unit = look.only_unit(below) if below.data == "brace" else look.as_unit(below)
        if unit is None:
            raise m.refuse(below, usage)
        return m._gradient([part, following], m._quantity(unit))

    def _differentiated(self, part: Tree, word: str) -> Value | None:
        r"""`d\gamma_j`, `\mathrm{d}W`, and `dL/dW` with a slash."""
        m = self.m
        following = self.parts[self.position + 1 : self.position + 5]
        if word == "d" and len(part.children) == 1 and following and isinstance(following[0], Tree):
            return self._after_d(part, following)
        if (
            word.startswith("d")
            and m.names.is_loss(word[1:])
            and len(part.children) == 1
            and not m.names.is_value(word)
        ):
            below = self._slashed(following)
            if below is not None:
                self.position += 2 + len(below)
                return m.derivative([part, *below], [part], below)
        return None

    def _slashed(self, following: list[Any]) -> list[Tree] | None:
        """What stands after the slash of dL/dW: `dW`, or `d` and `W`."""
        if len(following) < 2 or not isinstance(following[0], Token) or str(following[0]) != "/":
            return None
        for count in (2, 1):
            units = following[1 : 1 + count]
            if (
                len(units) == count
                and all(isinstance(u, Tree) for u in units)
                and self.m._differential(units) is not None
            ):
                return units
        return None

    def _after_d(self, part: Tree, following: list[Any]) -> Value | None:
        m, unit = self.m, following[0]
        bases = m.spellings(unit.children[0])
        if bases is None:
            return None
        loss = m._bare(unit)
        if loss is not None:
            below = self._slashed(following[1:])
            if below is not None:
                self.position += 3 + len(below)
                return m.derivative([part, unit, *below], [part, unit], below)
        atom, below_, above, primes = m.scripts(unit)
        if primes or not any(m._fits(f) for b in bases for f in m._candidates("d" + b, below_, above)):
            if look.leaf(part.children[0], "ROMAN") or (m.left and not m.names.known("d")):
                found = m.resolve([part, unit], ["d" + b for b in bases], False, below_, above)  # type: ignore[arg-type]
                self.position += 2
                return m.built([part, unit], found)  # type: ignore[arg-type]
            return None
        upright = look.leaf(part.children[0], "ROMAN")
        found = m.resolve(unit, ["d" + b for b in bases], False, below_, above)
        beside = look.end_of(part) == look.start_of(unit)
        if m.names.is_value("d") and not upright and not m.left and not beside and not m.spaced(look.start_of(unit)):
            readings = (said("the gradient {name}", name=found.name), said("d times {base}", base=bases[0]))
            raise m.two_ways([part, unit], f"d {bases[0]}", readings,
                             said(r"write \frac{\partial L}{\partial ...}, or d \cdot ..."))  # fmt: skip
        if m.names.is_value("d") and not upright and m.spaced(look.start_of(unit)):
            return None
        self.position += 2
        return m.built([part, unit], found)  # type: ignore[arg-type]

    # -- sums over an index --

    def _reduces(self, part: Tree, name: str) -> bool:
        r"""`\max_k z_{ik}` runs over k; `\max(0, z)` compares."""
        if name in ("argmax", "argmin"):
            return True
        return name in ("max", "min") and any(s.data == "below" for s in part.children[1:])

    def _reduction(self, part: Tree, name: str) -> Value:
        m = self.m
        _, below, above, primes = m.scripts(part)
        shown = {"Sum": r"\sum", "Product": r"\prod"}.get(name, rf"\{name}")
        if below is None or primes:
            raise m.refuse(part, said("{shown} names the index it runs over: {shown}_{{k}}", shown=shown))
        self.position += 1
        limits, mask = Limits(m, below, above, shown).read()
        begun = self.position
        bound = [limit.items[0].name if isinstance(limit, lang.Sequence) else limit.name for limit in limits]  # type: ignore[attr-defined]
        with m.names.binding(bound):
            body = self._body(part, shown, self._end_of_body(bound))
        whole = self.parts[begun : self.position]
        if name not in ("Sum",):
            self._scope(whole, bound, shown)
        if body.shape != () and not look.has_entries(body.node):
            raise m.refuse(whole, said("after {shown} stand single entries: give every name its indices", shown=shown))
        node = body.node
        if mask is not None:
            neutral = {"Sum": 0, "Product": 1}.get(name)
            if neutral is None:
                raise m.refuse(below, said("{shown} runs over a whole axis here: {shown}_{{k}}", shown=shown))
            node = m.call(part, "where", mask, node, m.number(part, neutral))
        return Value(m.call([part, *whole], REDUCTIONS[name], node, *limits))

    def _end_of_body(self, bound: list[str]) -> int:
        r"""`\prod_{i<j} x_i \prod_{i>j} x_i`: what binds an index that is bound already stands beside, not inside."""
        for n in range(self.position + 1, len(self.parts)):
            if look.unit_of(self.parts[n], "BIG") and not set(bound).isdisjoint(self._bound_by(self.parts[n])):
                return n - isinstance(self.parts[n - 1], Token)
        return len(self.parts)

    def _bound_by(self, part: Tree) -> list[str]:
        """The indices that a sum or product sign binds; none where that cannot be read."""
        m = self.m
        _, below, _, _ = m.scripts(part)
        if below is None:
            return []
        held = m.depth, m.indexing
        try:
            limits, _ = Limits(m, below, None, "").indices()
        except ReadingError:
            m.depth, m.indexing = held
            return []
        indices = [limit.items[0] if isinstance(limit, lang.Sequence) else limit for limit in limits]
        return [index.name for index in indices if isinstance(index, lang.Name)]

    def _body(self, part: Tree, shown: str, stop: int) -> Value:
        start, self.position = self.position, stop
        if start == len(self.parts):
            raise self.m.refuse(part, said("nothing stands after {shown}", shown=shown))
        minus = None
        if self.minus is not None and self.minus < stop:
            minus, self.minus = self.minus - start, None
        return Chain(self.m, self.parts[start:stop], minus).value()

    def _scope(self, whole: list[Any], bound: list[str], shown: str) -> None:
        r"""`\prod_i x_i c`: a factor without the index is inside or outside; only for a sum it is the same."""
        factors = [p for p in whole if isinstance(p, Tree)]
        if len(factors) > 1 and not look.big(factors[0]):
            for factor in factors:
                letters = {c for token in factor.scan_values(_is_word) for c in str(token)}
                if not letters & set("".join(bound)):
                    raise self.m.two_ways(
                        factor,
                        said("what stands after {shown}", shown=shown),
                        (said("inside it"), said("outside it")),
                        said("write parentheses"),
                    )

    # -- functions --

    def _function_name(self, token: Token) -> str | None:
        """The function that a word stands for, if something follows to apply it to."""
        m, text = self.m, str(token)
        if m.indexing and token.type == "WORD":
            return None
        scripts = self.parts[self.position].children[1:]
        applied = self._group_follows() and not any(script.data == "below" for script in scripts)
        if text in m.names.functions and (applied or token.type == "FUNCTION"):
            raise m.refuse(self.parts[self.position], OWN_FUNCTION)
        if token.type == "FUNCTION":
            return text
        if token.type == "GREEK":
            part = self.parts[self.position]
            called = text == "sigma" and (self._group_follows() or any(s.data == "prime" for s in part.children[1:]))
            if called and m.names.known("sigma"):
                raise m.two_ways(part, r"\sigma(...)", (said("the sigmoid function"), said("a product with sigma")),
                                 r"write \operatorname{sigmoid}(...), or \cdot")  # fmt: skip
            return "sigmoid" if called else None
        if token.type in ("ROMAN", "WORD") and self._is_a_step_or_a_size(text):
            readings = said("a step function"), said("a product with the size H")
            raise m.two_ways(
                self.parts[self.position], "H(...)", readings, said(r"write \mathbb{1}[z > 0], or H \cdot")
            )
        if token.type == "ROMAN" and text in OF_A_WHOLE and not m.names.known(text) and self._group_follows():
            return OF_A_WHOLE[text]
        if token.type in ("ROMAN", "WORD") and not m.names.known(text):
            name = SEVERAL.get(text) or CALLED.get(text.lower())
            if name is not None and (self._group_follows() or token.type == "ROMAN"):
                return text if text in SEVERAL else name
        return None

    def _kronecker(self, part: Tree) -> Value | None:
        r"""`\delta(k, y_i)`"""
        m, following = self.m, self.parts[self.position + 1 : self.position + 2]
        if m.left or len(part.children) > 1 or not following or not isinstance(following[0], Tree):
            return None
        group = following[0].children[0]
        entries = look.trees(look.trees(group)[0]) if group.data == "group" else []
        if len(entries) != 2 or len(following[0].children) > 1:
            return None
        self.position += 2
        m.indexing += 1
        nodes = [m.either(entry).node for entry in entries]
        m.indexing -= 1
        return Value(m.call([part, *following], "KroneckerDelta", *nodes))

    def _group_follows(self) -> bool:
        following = self.parts[self.position + 1] if self.position + 1 < len(self.parts) else None
        return isinstance(following, Tree) and following.children[0].data in ("group", "bracket", "set", "brace")

    def _is_a_step_or_a_size(self, letter: str) -> bool:
        r"""`H(z)`, of more than a number, is Heaviside's step elsewhere."""
        if letter != "H" or letter not in self.m.names.exercise.size_symbols or not self._group_follows():
            return False
        group = self.parts[self.position + 1].children[0]
        if group.data != "group":
            return False
        return self.m.either(look.trees(look.trees(group)[0])[0]).shape != ()

    def _function(self, part: Tree, name: str) -> Value:
        m = self.m
        _, below, above, primes = m.scripts(part)
        if below is not None:
            raise m.refuse(
                below, said("{name} has no subscript here: of logarithms there is the natural one, \\log", name=name)
            )
        if _constant_of(above, m) == -1:
            raise m.two_ways(
                part,
                f"{name}^{{-1}}",
                (said("its inverse function"), said("one over {name}", name=name)),
                said("write it out"),
            )
        self.position += 1
        arguments, scripts = self._arguments(part, name)
        for argument in arguments:
            m.sized(part, argument)
        own = {"clamp": self._clamped, "one_hot": self._one_hot, "max": self._extreme, "min": self._extreme,
               **dict.fromkeys(OF_A_WHOLE.values(), self._of_a_whole)}.get(name)  # fmt: skip
        if own is not None and not primes:
            value = own(part, name, arguments)
        else:
            if len(arguments) != 1:
                raise m.refuse(part, said("{name} takes one argument", name=name))
            value = self._applied(part, CALLED.get(name.lower(), name), arguments[0], primes)
        if above is not None:
            value = m.raised(part, value, above)
        for below_, above_ in scripts:
            value = m.scripted(part, value, below_, above_)
        return value

    def _extreme(self, part: Tree, name: str, arguments: list[Value]) -> Value:
        r"""`\max(0, z)`"""
        m = self.m
        if len(arguments) < 2:
            raise m.refuse(
                part,
                said("\\{name} compares two things, \\{name}(0, z), or runs over an index, \\{name}_k z_k", name=name),
            )
        shape = max((a.shape for a in arguments if a.shape is not None), key=len, default=None)
        return Value(m.call(part, SEVERAL[name], *(a.node for a in arguments)), shape)

    def _clamped(self, part: Tree, name: str, arguments: list[Value]) -> Value:
        r"""`\operatorname{clamp}(z, a, b)` is \min(\max(z, a), b)."""
        m = self.m
        if len(arguments) != 3:
            raise m.refuse(part, said("clamp takes three things: clamp(z, a, b), from a to b"))
        raised = self._extreme(part, "max", arguments[:2])
        return self._extreme(part, "min", [raised, arguments[2]])

    def _of_a_whole(self, part: Tree, name: str, arguments: list[Value]) -> Value:
        r"""`\operatorname{mean}(r)`, `\operatorname{diag}(p)`: of a vector or a matrix by its name."""
        m = self.m
        shape = arguments[0].shape if len(arguments) == 1 else None
        if not shape or (name == "diag" and len(shape) != 1) or (name == "trace" and len(shape) != 2):
            what = {"diag": said("one vector"), "trace": said("one matrix")}.get(name, said("one vector or matrix"))
            raise m.refuse(part, said("{name} takes {what} here, by its name", name=name, what=what))
        made = m.call(part, name, arguments[0].node)
        return Value(made, (shape[0], shape[0]) if name == "diag" else ())

    def _one_hot(self, part: Tree, name: str, arguments: list[Value]) -> Value:
        r"""`\operatorname{onehot}(y)`, also with the number of classes after it."""
        m = self.m
        if len(arguments) not in (1, 2):
            raise m.refuse(part, said("{name} takes one argument", name=name))
        made = constants.one_hot(m, part, arguments[0].node)
        if len(arguments) == 2 and made.shape and look.text(arguments[1].node) != made.shape[-1]:
            raise m.refuse(part, said("{name} has {count} classes here", name=name, count=made.shape[-1]))
        return made

    def _applied(self, part: Tree, name: str, argument: Value, primes: int) -> Value:
        m = self.m
        if primes:
            return self._slope(part, name, argument, primes)
        if name == "det":
            if argument.shape is None or len(argument.shape) != 2:
                raise m.refuse(part, said("\\det takes a whole matrix by its name: \\det A"))
            return Value(m.call(part, name, argument.node), ())
        if name in WHOLE:
            if argument.shape == ():
                raise m.refuse(
                    part, said("{name} takes a whole vector or matrix: \\operatorname{{{name}}}(z)_{{ik}}", name=name)
                )
            last = lang.Unary(*m.at(part), "-", m.number(part, 1))
            return Value(m.call(part, name, argument.node, last), argument.shape, argument.row)
        spelled = {"Abs": "abs"}.get(name, name)
        return Value(m.call(part, spelled, argument.node), argument.shape, argument.row)

    def _slope(self, part: Tree, name: str, argument: Value, primes: int) -> Value:
        r"""`\sigma'(z)`, from the table of functions."""
        m = self.m
        if primes > 1 or name not in FUNCTIONS:
            raise m.refuse(part, said("a prime is the first derivative of a function such as \\sigma or \\tanh"))
        return Value(_slope(name, argument.node, m.at(part)), argument.shape, argument.row)

    def _arguments(self, part: Tree, name: str) -> tuple[list[Value], list[tuple[Tree | None, Tree | None]]]:
        """The arguments, and the scripts of their parentheses, which belong to the value."""
        m, following = self.m, self._next()
        if following is None or isinstance(following, Token):
            raise m.refuse(part, said("{name} has no argument: write {name}(z)", name=name))
        atom = following.children[0]
        if atom.data in ("group", "bracket", "set", "brace") or (atom.data == "bars" and name == "log"):
            self.position += 1
            _, below, above, _ = m.scripts(following)
            scripts = [(below, above)] if below is not None or above is not None else []
            if atom.data == "bars":
                return [m.atom(atom)], scripts
            return [m.either(each) for each in look.trees(look.trees(atom)[0])], scripts
        return [self._bare_argument(part, name)], []

    def _bare_argument(self, part: Tree, name: str) -> Value:
        r"""`\log p_{ik}`: one factor (with a number in front of it), a sum, or another function."""
        m = self.m
        number = None
        if look.unit_of(self.parts[self.position], "NUMBER") and len(self.parts[self.position].children) == 1:
            following = self.parts[self.position + 1 : self.position + 2]
            if following and isinstance(following[0], Tree) and not self._is_function(following[0]):
                number = m.unit(self.parts[self.position])
                self.position += 1
        begun = self.position
        value = self.factor()
        if number is not None:
            value = m.product(self.parts[begun - 1 : self.position], number, value)
        after = self._next()
        if after is None or (self._is_function(after) and not look.big(self.parts[begun])):
            return value
        shown = f"\\{name} a"
        if isinstance(after, Tree):
            raise m.two_ways(after, f"{shown} b", (f"({shown}) b", f"\\{name}(a b)"), said("write parentheses"))
        if str(after) == "/":
            raise m.two_ways(after, f"{shown} / b", (f"({shown}) / b", f"\\{name}(a / b)"), said("write parentheses"))
        if look.big(self.parts[begun]):  # \log \sum_i x_i \cdot \sum_i y_i
            readings = rf"({shown}) \cdot b", rf"\{name}(a \cdot b)"
            raise m.two_ways(after, rf"{shown} \cdot b", readings, said("write parentheses"))
        return value

    def _is_function(self, part: Any) -> bool:
        return isinstance(part, Tree) and (look.unit_of(part, "FUNCTION") or look.big(part))

    # -- ones --

    def _is_identity(self, word: str) -> bool:
        """I is a constant where it is nobody's name."""
        m = self.m
        return word == "I" and not (m.left or m.indexing or m.names.known("I") or "I" in m.names.indices)

    def _one(self, part: Tree, letter: str) -> Value:
        r"""`\mathbb{1}[z > 0]`, `\mathbf{1}_{z > 0}`; alone a vector of ones, or of I the identity."""
        m = self.m
        _, below, above, _ = m.scripts(part)
        self.position += 1
        if below is not None and look.is_relation(below):
            value = m.indicator(part, look.trees(look.innermost(below))[0])
            return m.raised(part, value, above) if above is not None else value
        following = self._next()
        if below is None and above is None and isinstance(following, Tree) and look.is_relation(following.children[0]):
            self.position += 1
            value = m.indicator([part, following], look.trees(following.children[0])[0])
            _, below, above, _ = m.scripts(following)
            return m.scripted(following, value, below, above)
        if m.indexing:
            raise m.refuse(part, said("this cannot be read here"))
        if above is None and isinstance(following, Tree) and following.children[0].data in ("group", "bracket"):
            readings = (said("an indicator"), said("a product"))
            raise m.two_ways(
                part, f"{letter}(...)", readings, said(r"write \mathbb{1}[z > 0], or \cdot before a factor")
            )
        constant = constants.ones(m, part, below) if letter == "1" else constants.identity(m, part, below)
        return m.raised(part, constant, above) if above is not None else constant


def _is_word(token: Any) -> bool:
    return isinstance(token, Token) and token.type == "WORD"


class Limits:
    r"""What stands below and above a `\sum`: the indices it binds, and the condition on them."""

    def __init__(self, meaning: Meaning, below: Tree, above: Tree | None, shown: str):
        self.m, self.below, self.above, self.shown = meaning, below, above, shown

    def read(self) -> tuple[list[lang.Expression], lang.Expression | None]:
        m = self.m
        bound, mask = self.indices()
        if not bound or not all(isinstance(b, (lang.Name, lang.Sequence)) for b in bound):
            raise m.refuse(self.below, said("{shown} names the index it runs over: {shown}_{{k}}", shown=self.shown))
        if self.above is not None:
            if len(bound) != 1:
                raise m.refuse(
                    self.above, said("an upper limit belongs to one index: {shown}_{{j=1}}^{{D}}", shown=self.shown)
                )
            bound = [self._limited(bound[0])]
        elif isinstance(bound[0], lang.Sequence):
            raise m.refuse(self.below, said("the upper limit is missing: {shown}_{{j=1}}^{{D}}", shown=self.shown))
        return bound, mask

    def indices(self) -> tuple[list[lang.Expression], lang.Expression | None]:
        """What stands below: each index, `(j, 1)` where it begins somewhere, and the condition."""
        m = self.m
        bound: list[lang.Expression] = []
        mask: lang.Expression | None = None
        for item in m.sub_items(self.below):
            if isinstance(item, list):
                m.indexing += 1
                bound += [node for unit in item for node in m._index_letters(unit)]
                m.indexing -= 1
                continue
            index, condition = self._condition(item, bound)
            bound += [] if index is None else [index]
            if condition is not None:
                mask = condition if mask is None else lang.Binary(*m.at(item), "&", mask, condition)
        return bound, mask

    def _condition(
        self, item: Tree, bound: list[lang.Expression]
    ) -> tuple[lang.Expression | None, lang.Expression | None]:
        r"""`j=1`, `j \ne i`, `j \le i`; after the index, `n: t_n = v`, a condition."""
        m = self.m
        relation = look.trees(item)[0]
        sums = look.trees(relation)
        signs = [str(t) for t in relation.children if isinstance(t, Token)]
        if len(look.trees(item)) != 1 or len(sums) != 2:
            raise m.refuse(
                item, said("under {shown} stands an index, j=1, or one condition such as j \\ne i", shown=self.shown)
            )
        m.indexing += 1
        left, right = (m.sum(s).node for s in sums)
        m.indexing -= 1
        mask = lang.Binary(*m.at(item), signs[0], left, right)
        indices = [b.items[0] if isinstance(b, lang.Sequence) else b for b in bound]  # j=1, j \ne i
        if bound and (
            not isinstance(left, lang.Name) or left.name in [b.name for b in indices if isinstance(b, lang.Name)]
        ):
            return None, mask
        if not isinstance(left, lang.Name):
            raise m.refuse(item, said("under {shown} the index stands first: j=1, j \\ne i", shown=self.shown))
        return (lang.Sequence(*m.at(item), (left, right)), None) if signs == ["=="] else (left, mask)

    def _limited(self, index: lang.Expression) -> lang.Expression:
        r"""(j, 0, D - 1), whether it is counted from 0 or from 1."""
        m = self.m
        assert self.above is not None
        m.indexing += 1
        upper = m.inner(self.above).node
        m.indexing -= 1
        first: lang.Expression = m.number(self.below, 1)
        given = isinstance(index, lang.Sequence)
        if isinstance(index, lang.Sequence):
            index, first = index.items
        assert isinstance(index, lang.Name)
        least = look.constant(first)
        if least == 1 and given:
            m.from_one.add(index.name)
        if least is None and any(isinstance(n, lang.Name) and n.name in m.names.indices for n in lang.walk(first)):
            return self._from_another(index, first, upper)
        if least not in (0, 1):
            raise m.refuse(
                self.below,
                said(
                    "{shown} begins at 0 or at 1; write a condition for a part of the axis, as j \\ge i",
                    shown=self.shown,
                ),
            )
        if isinstance(upper, lang.Name) and upper.name not in m.names.indices and not m.names.known(upper.name):
            raise m.refuse(self.above, m.names.unknown(upper.name))
        whole = self._whole(index.name, least, upper)
        if whole:
            return index
        if least == 1 and isinstance(upper, lang.Binary) and upper.op == "-":
            readings = (said("counted from 0, without the first"), said("counted from 1, without the last"))
            raise m.two_ways(
                self.above,
                said("these limits"),
                readings,
                said("write a condition, as {shown}_{{j < i}}", shown=self.shown),
            )
        at = m.at(self.above)
        if least == 1 and not (isinstance(upper, lang.Name) and upper.name in m.names.indices):
            upper = lang.Binary(*at, "-", upper, m.number(self.above, 1))
        return lang.Sequence(*m.at(self.below), (index, m.number(self.below, 0), upper))

    def _from_another(self, index: lang.Name, first: lang.Expression, upper: lang.Expression) -> lang.Expression:
        r"""`\sum_{o=i}^{N-1}`, or `\sum_{o=i}^{N}` where people count from 1: from another index on, to the end."""
        m = self.m
        assert self.above is not None
        if isinstance(upper, lang.Name) and upper.name in m.names.exercise.size_symbols:
            upper = lang.Binary(*m.at(self.above), "-", upper, m.number(self.above, 1))
        return lang.Sequence(*m.at(self.below), (index, first, upper))

    def _whole(self, index: str, least: float, upper: lang.Expression) -> bool:
        """Whether the limits are the axis' own: 1 to D, or 0 to D-1."""
        symbol = self.m.names.exercise.index_symbols.get(index)
        if symbol is None:
            return False
        from tutor.symbolic.indices import size

        extent = str(size(symbol)).replace(" ", "")
        shown = look.text(upper).replace(" ", "")
        return shown == extent if least == 1 else shown in (f"{extent}-1", f"({extent})-1")


def _constant_of(above: Tree | None, meaning: Meaning) -> float | None:
    if above is None or above.data == "empty" or (above.data == "brace" and look.only_sum(above) is None):
        return None
    try:
        return look.constant(meaning.inner(above).node)
    except ReadingError:
        return None


def _slope(name: str, argument: lang.Expression, at: tuple[int, int, int]) -> lang.Expression:
    """f'(x) from the function table, written as an expression."""
    from sympy import Symbol

    from tutor.symbolic.notation import sheet_form

    x = Symbol("x_", real=True)
    row = FUNCTIONS[name]
    return constants.placed(sheet_form(row.slope(x, row.sympy(x))), at, argument)
