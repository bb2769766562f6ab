"""Text with ``${…}`` inside → a `Template` of literal parts and checked expressions.

An expression is Python cut down by `loadr.plan.sandbox` to what can only look at values; which *names* exist at
its place is decided in `loadr.plan.scope`. Whoever compiles an expression takes `Expression.names`, supplies each
of them, and splices ``rewrite(expression, …)`` into code whose globals hold `FUNCTIONS`.
"""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from loadr.plan.sandbox import FUNCTIONS, ExpressionInvalid, check_expression, shorten

__all__ = [
    "FUNCTIONS",
    "MAX_SOURCE_CHARS",
    "Expression",
    "ExpressionInvalid",
    "Template",
    "parse_expression",
    "parse_template",
    "rewrite",
    "static_text",
    "whole_expression",
]

MAX_SOURCE_CHARS = 2_000


@dataclass(frozen=True, slots=True)
class Expression:
    """A checked expression. ``names`` are the free names that it reads, `FUNCTIONS` left out; ``node`` is plain
    `ast` and shared: copy it (or use `rewrite`) before changing it."""

    source: str
    node: ast.Expression = field(compare=False, repr=False)
    names: frozenset[str] = field(compare=False)


@dataclass(frozen=True, slots=True)
class Template:
    """Literal text and expressions in order; two literals never stand side by side, and none is empty."""

    parts: tuple[str | Expression, ...]

    @property
    def expressions(self) -> tuple[Expression, ...]:
        return tuple(part for part in self.parts if isinstance(part, Expression))


def static_text(template: Template) -> str | None:
    """The text of a template without expressions; None if it has any."""
    if template.expressions:
        return None
    return "".join(part for part in template.parts if isinstance(part, str))


def whole_expression(template: Template) -> Expression | None:
    """The expression of a template that is nothing but one (its value keeps its type); None otherwise."""
    match template.parts:
        case (Expression() as only,):
            return only
        case _:
            return None


_OPENING = re.compile(r"\$?\$\{")


def parse_template(text: str) -> Template:
    """Cut ``text`` at its ``${…}``; ``$${`` stands for a literal ``${``. Raises `ExpressionInvalid`."""
    parts: list[str | Expression] = []
    literal = ""
    at = 0
    while (opening := _OPENING.search(text, at)) is not None:
        literal += text[at : opening.start()]
        at = opening.end()
        if opening[0] == "$${":
            literal += "${"
            continue
        end = _find_end(text, at)
        if literal:
            parts.append(literal)
            literal = ""
        parts.append(parse_expression(text[at:end]))
        at = end + 1
    literal += text[at:]
    if literal:
        parts.append(literal)
    return Template(tuple(parts))


def _find_end(text: str, at: int) -> int:
    """The index of the ``}`` that closes an expression which begins at ``at``; braces and quotes inside count."""
    depth = 0
    quote = ""
    i = at
    while i < len(text):
        char = text[i]
        if quote:
            if char == "\\":
                i += 1
            elif char == quote:
                quote = ""
        elif char in "'\"":
            quote = char
        elif char == "{":
            depth += 1
        elif char == "}":
            if depth == 0:
                return i
            depth -= 1
        i += 1
    what = "a quote inside it is never closed" if quote else "it has no closing }"
    raise ExpressionInvalid(
        f"the expression ${{{shorten(text[at:])} does not end: {what}", "write $${ for a literal ${"
    )


def parse_expression(source: str) -> Expression:
    """Check the text between ``${`` and ``}``. Raises `ExpressionInvalid`; never runs anything."""
    source = source.strip()
    if not source:
        raise ExpressionInvalid("the expression ${} is empty", "write $${ for a literal ${")
    if len(source) > MAX_SOURCE_CHARS:
        raise ExpressionInvalid(
            f"${{{shorten(source)}}} is {len(source):,} characters long; the limit is {MAX_SOURCE_CHARS:,}",
            "move it into a script",
        )
    try:
        node = ast.parse(source, mode="eval")
        names = check_expression(node)
    except SyntaxError as error:
        raise ExpressionInvalid(f"${{{shorten(source)}}} is not a Python expression: {error.msg}") from None
    except (ValueError, MemoryError, RecursionError) as error:
        if isinstance(error, ExpressionInvalid):
            raise ExpressionInvalid(f"${{{shorten(source)}}}: {error.message}", error.hint) from None
        raise ExpressionInvalid(f"${{{shorten(source)}}} can not be read as a Python expression") from None
    return Expression(source, node, names)


Resolve = Callable[[str, str | None], ast.expr]


def rewrite(expression: Expression, resolve: Resolve, *, rows: Collection[str] = ()) -> ast.expr:
    """A copy of the expression's node in which every free name was replaced.

    ``resolve("item", None)`` is asked for a bare name, ``resolve("users", "name")`` for ``users.name`` as a whole
    (so too ``response.status``, ``env.KEY`` and ``random.randint``, which is then called). For roots in ``rows``
    (data sets), for ``env``, ``secret`` and ``setup`` the form ``users["name"]`` means the same.
    """
    return _Rewriter(expression.names, resolve, rows).rewritten(expression.node.body)


class _Rewriter(ast.NodeTransformer):
    def __init__(self, names: frozenset[str], resolve: Resolve, rows: Collection[str]) -> None:
        self._names = names
        self._resolve = resolve
        self._rows = {*rows, "env", "secret", "setup"}

    def rewritten(self, node: ast.expr) -> ast.expr:
        changed = self.visit(copy.deepcopy(node))
        assert isinstance(changed, ast.expr)
        return ast.fix_missing_locations(changed)

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self._resolve(node.id, None) if node.id in self._names else node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        func: ast.expr
        match node.func:
            case ast.Attribute(value=value, attr=method) if (
                not isinstance(value, ast.Name) or value.id != "random"
            ):
                func = ast.Attribute(self.visit(value), method, ast.Load())  # a method: its object is replaced
            case ast.Attribute():
                func = self.visit(node.func)
            case _:
                func = node.func
        arguments = [self.visit(argument) for argument in node.args]
        keywords = [ast.keyword(keyword.arg, self.visit(keyword.value)) for keyword in node.keywords]
        return ast.Call(func, arguments, keywords)

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        assert isinstance(node.value, ast.Name)
        return self._resolve(node.value.id, node.attr)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        match node:
            case ast.Subscript(value=ast.Name(id=root), slice=ast.Constant(value=str(member))) if (
                root in self._rows and root in self._names
            ):
                return self._resolve(root, member)
            case _:
                return self.generic_visit(node)
