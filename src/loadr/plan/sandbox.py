"""What an expression may be made of: Python cut down to what can only look at values.

Takes a parsed expression and gives its free names, or refuses it in words: allowed are literals, arithmetic,
comparisons, conditions, subscripts, displays, comprehensions, and calls of the functions and methods listed here.
Nothing can be defined, assigned or imported, and an attribute is read of a bare name only (``users.name``), never
of a value, so that no expression reaches the insides of Python. ``**``, ``<<`` and the multiplication of text are
refused, and depth is bounded: one line can not fill the memory by accident. (What a plan's author does on purpose
is not the question here: scripts of the same plan may run anything.)
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping

MAX_DEPTH = 40  # of nested nodes; Python's own compiler gives up near 90 nested brackets
MAX_LOOPS = 2  # `for` clauses in one expression

FUNCTIONS: Mapping[str, Callable[..., object]] = {
    f.__name__: f for f in (len, int, float, str, round, min, max, abs, sum, sorted, any, all, bool)
}
METHODS = frozenset(
    (
        *("upper", "lower", "title", "capitalize", "strip", "lstrip", "rstrip", "removeprefix", "removesuffix"),
        *("replace", "split", "join", "startswith", "endswith", "find", "count", "index", "isdigit"),
        *("get", "keys", "values", "items"),
    )
)
RANDOM_FUNCTIONS = ("choice", "randint", "random", "uniform")
_KEYWORDS = frozenset(("reverse", "default", "sep", "maxsplit"))
_NUMBER_FUNCTIONS = frozenset(("int", "float", "len", "round", "abs"))
_NUMBER_MEMBERS = frozenset(
    (
        ("random", "randint"),
        ("random", "random"),
        ("random", "uniform"),
        ("response", "status"),
        ("response", "duration_ms"),
        ("response", "size"),
        ("vu", "id"),
    )
)

_OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod)
_ALLOWED: tuple[type[ast.AST], ...] = (
    *(ast.Expression, ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.UAdd, ast.USub, ast.Compare),
    *(ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Is, ast.IsNot, ast.In, ast.NotIn, ast.IfExp),
    *(ast.Subscript, ast.Slice, ast.List, ast.Tuple, ast.Set, ast.Load, *_OPERATORS),
)
_REFUSED: Mapping[type[ast.AST], str] = {
    ast.Lambda: "lambda",
    ast.NamedExpr: "an assignment (:=)",
    ast.JoinedStr: "an f-string",
    ast.Starred: "an unpacked * argument",
    ast.Pow: "the operator **",
    ast.LShift: "the operator <<",
    ast.RShift: "the operator >>",
    ast.BitAnd: "the operator &",
    ast.BitOr: "the operator |",
    ast.BitXor: "the operator ^",
    ast.MatMult: "the operator @",
    ast.Invert: "the operator ~",
    ast.Await: "await",
    ast.Yield: "yield",
    ast.YieldFrom: "yield",
    ast.GeneratorExp: "a generator outside a call",
}
_ALLOWED_TEXT = (
    "allowed are values, arithmetic, comparisons, conditions, x[...], comprehensions and calls of "
    + ", ".join(FUNCTIONS)
)


class ExpressionInvalid(ValueError):
    """A template or an expression that can not be used: what is wrong, and what to write instead."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def is_number(node: ast.expr) -> bool:
    """Whether the value is a number for certain, by its form alone (that of a column or a variable is not)."""
    match node:
        case ast.Constant(value=value):
            return isinstance(value, int | float)
        case ast.Name(id="iteration"):
            return True
        case ast.UnaryOp(operand=operand):
            return isinstance(node.op, ast.Not) or is_number(operand)
        case ast.BinOp(left=left, right=right):
            return is_number(left) and is_number(right)
        case ast.IfExp(body=body, orelse=orelse):
            return is_number(body) and is_number(orelse)
        case ast.Call(func=ast.Name(id=name)):
            return name in _NUMBER_FUNCTIONS
        case ast.Call(func=ast.Attribute(value=ast.Name(id=root), attr=member)):
            return (root, member) in _NUMBER_MEMBERS
        case ast.Attribute(value=ast.Name(id=root), attr=member):
            return (root, member) in _NUMBER_MEMBERS
        case _:
            return False


def check_expression(node: ast.Expression) -> frozenset[str]:
    """The free names that the expression reads, `FUNCTIONS` left out. Raises `ExpressionInvalid`."""
    checker = _Checker()
    checker.check(node)
    return frozenset(checker.free)


class _Checker:
    """Walks one expression and refuses what is not listed; collects its free names."""

    def __init__(self) -> None:
        self.free: set[str] = set()
        self._bound: list[str] = []  # variables of the comprehensions around the current node
        self._ever_bound: set[str] = set()
        self._loops = 0

    def check(self, node: ast.Expression) -> None:
        self._visit(node.body, 0)
        if both := self.free & self._ever_bound:
            raise ExpressionInvalid(
                f"the loop variable {min(both)!r} has the name of something else", "rename it"
            )

    def _visit(self, node: ast.AST, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise ExpressionInvalid("it is nested too deeply", "move it into a script")
        match node:
            case ast.Constant():
                self._check_constant(node)
            case ast.Name():
                self._check_name(node)
            case ast.Attribute():
                self._check_attribute(node)
            case ast.Call():
                self._check_call(node, depth)
            case ast.BinOp():
                self._check_operator(node)
                self._visit_children(node, depth)
            case ast.ListComp() | ast.SetComp():
                self._check_loops(node.generators, (node.elt,), depth)
            case ast.DictComp():
                self._check_loops(node.generators, (node.key, node.value), depth)
            case ast.Dict(keys=keys):
                if None in keys:
                    raise ExpressionInvalid("an unpacked ** mapping is not allowed", _ALLOWED_TEXT)
                self._visit_children(node, depth)
            case _ if isinstance(node, _ALLOWED):
                self._visit_children(node, depth)
            case _:
                what = _REFUSED.get(type(node), f"{type(node).__name__}")
                raise ExpressionInvalid(f"{what} is not allowed", _ALLOWED_TEXT)

    def _visit_children(self, node: ast.AST, depth: int) -> None:
        for child in ast.iter_child_nodes(node):
            self._visit(child, depth + 1)

    def _check_constant(self, node: ast.Constant) -> None:
        if not isinstance(node.value, str | int | float | None):
            raise ExpressionInvalid(f"the literal {ast.unparse(node)} is not allowed", "use text or a number")

    def _check_name(self, node: ast.Name) -> None:
        name = node.id
        if name.startswith("__"):
            raise ExpressionInvalid(f"the name {name!r} is not allowed")
        if name in self._bound:
            return
        if name in FUNCTIONS:
            raise ExpressionInvalid(f"the function {name!r} is not called", f"write {name}(…)")
        self.free.add(name)

    def _check_attribute(self, node: ast.Attribute) -> None:
        """``root.member`` of a free name; methods are looked at in `_check_call`."""
        if node.attr.startswith("_"):
            raise ExpressionInvalid(f"the attribute {node.attr!r} is not allowed: it begins with _")
        match node.value:
            case ast.Name(id=root) if root not in self._bound:
                self._check_name(node.value)
                if root == "random":
                    raise ExpressionInvalid(f"random.{node.attr} is not called", f"write random.{node.attr}(…)")
            case _:
                raise ExpressionInvalid(
                    f"the attribute {node.attr!r} of a value is not allowed",
                    f'write […]["{node.attr}"] for a field',
                )

    def _check_call(self, node: ast.Call, depth: int) -> None:
        match node.func:
            case ast.Name(id=name):
                if name in self._bound or name not in FUNCTIONS:
                    raise ExpressionInvalid(
                        f"the function {name!r} is not allowed", "allowed: " + ", ".join(FUNCTIONS)
                    )
            case ast.Attribute(value=ast.Name(id="random"), attr=member) if "random" not in self._bound:
                if member not in RANDOM_FUNCTIONS:
                    allowed = ", ".join(f"random.{name}" for name in RANDOM_FUNCTIONS)
                    raise ExpressionInvalid(f"random.{member} is not allowed", f"allowed: {allowed}")
                self.free.add("random")
            case ast.Attribute(value=value, attr=method):
                if method not in METHODS:
                    hint = "write ${…} inside the text instead" if method in ("format", "format_map") else ""
                    raise ExpressionInvalid(
                        f"the method {method!r} is not allowed", hint or "allowed: " + ", ".join(sorted(METHODS))
                    )
                self._visit(value, depth + 1)
            case _:
                raise ExpressionInvalid("only functions and methods with a name can be called", _ALLOWED_TEXT)
        for argument in node.args:
            if isinstance(argument, ast.GeneratorExp):
                self._check_loops(argument.generators, (argument.elt,), depth)
            else:
                self._visit(argument, depth + 1)
        for keyword in node.keywords:
            if keyword.arg not in _KEYWORDS:
                raise ExpressionInvalid(f"the argument {keyword.arg or '**'!r} is not allowed")
            self._visit(keyword.value, depth + 1)

    def _check_operator(self, node: ast.BinOp) -> None:
        if not isinstance(node.op, ast.Mult | ast.Mod):
            return
        sign = "*" if isinstance(node.op, ast.Mult) else "%"
        for side in (node.left, node.right):
            if not is_number(side):
                text = ast.unparse(side)
                raise ExpressionInvalid(
                    f"{shorten(text)} may be text, and {sign} is for numbers only",
                    f"write int({text}) or float({text})",
                )

    def _check_loops(self, loops: list[ast.comprehension], results: tuple[ast.expr, ...], depth: int) -> None:
        before = len(self._bound)
        for loop in loops:
            self._loops += 1
            if self._loops > MAX_LOOPS:
                raise ExpressionInvalid(f"more than {MAX_LOOPS} loops", "move it into a script")
            if loop.is_async:
                raise ExpressionInvalid("async is not allowed", _ALLOWED_TEXT)
            self._visit(loop.iter, depth + 1)
            self._bind(loop.target)
            for condition in loop.ifs:
                self._visit(condition, depth + 1)
        for result in results:
            self._visit(result, depth + 1)
        del self._bound[before:]

    def _bind(self, target: ast.expr) -> None:
        match target:
            case ast.Name(id=name) if not name.startswith("__") and name not in FUNCTIONS:
                self._bound.append(name)
                self._ever_bound.add(name)
            case ast.Tuple(elts=targets):
                for part in targets:
                    self._bind(part)
            case _:
                raise ExpressionInvalid(f"{ast.unparse(target)} can not be a loop variable", "use a plain name")


def shorten(source: str) -> str:
    """At most 60 characters of a source, for a message."""
    return source if len(source) <= 60 else source[:57] + "…"
