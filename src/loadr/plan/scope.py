"""Which names a ``${…}`` may use at its place in the plan.

Takes a checked `Template` and the `Scope` of its place; gives every misuse in words, with a hint. The roots are
``vu`` (``vu.id``), ``iteration``, ``env``, ``secret``, ``random``, ``response`` (checks only), the data sets by
name, ``setup`` (what the plan's setup extracted or returned), and what earlier steps of the same flow extracted.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

from loadr.plan.expressions import Expression, Template
from loadr.plan.sandbox import FUNCTIONS, ExpressionInvalid, is_number

RESERVED = ("vu", "iteration", "env", "random", "response", "secret", "setup", *FUNCTIONS)
VU_MEMBERS = ("id",)
RESPONSE_MEMBERS = ("status", "duration_ms", "body", "text", "json", "headers", "error", "size")


@dataclass(frozen=True, slots=True)
class Scope:
    """``data`` maps the name of a data set to its columns (None: the file could not be read, any column may be
    right); ``later`` are variables that this or a later step extracts. ``secrets`` and ``setup`` None: any name
    may do. ``elsewhere``: data sets that iterations have, and this place has not, for want of ``iterations``."""

    data: Mapping[str, tuple[str, ...] | None] = field(default_factory=dict)
    env: Collection[str] = ()
    secrets: Collection[str] | None = None
    variables: Collection[str] = ()
    later: Collection[str] = ()
    response: bool = False
    setup: Collection[str] | None = ()
    elsewhere: Collection[str] = ()
    iterations: bool = True

    @property
    def names(self) -> list[str]:
        """Everything that may stand as a root here."""
        return [
            "vu",
            "iteration",
            "env",
            "secret",
            "random",
            *(["response"] if self.response else []),
            *(["setup"] if self.setup is None or self.setup else []),
            *self.data,
            *self.variables,
        ]


def misuses(template: Template, scope: Scope) -> list[ExpressionInvalid]:
    """Every wrong use of a name in the template, each told once."""
    told: dict[str, ExpressionInvalid] = {}
    for expression in template.expressions:
        for fault in _Uses(expression, scope).walk():
            told.setdefault(fault.message, fault)
    return list(told.values())


def did_you_mean(word: str, known: Collection[str]) -> str:
    """A hint for a word that is not known: the nearest one, or all if they are few, or nothing."""
    near = get_close_matches(word, known, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"known here: {', '.join(known)}" if 0 < len(known) <= 24 else ""


class _Uses:
    def __init__(self, expression: Expression, scope: Scope) -> None:
        self._expression = expression
        self._scope = scope

    def walk(self) -> Iterator[ExpressionInvalid]:
        yield from self._visit(self._expression.node.body)

    def _visit(self, node: ast.AST) -> Iterator[ExpressionInvalid]:
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="random"))):
                yield from self._visit_all([*node.args, *(k.value for k in node.keywords)])
                return
            case ast.Call(func=ast.Attribute(value=value)):
                yield from self._visit_all([value, *node.args, *(k.value for k in node.keywords)])
                return
            case ast.Call():
                yield from self._visit_all([*node.args, *(k.value for k in node.keywords)])
                return
            case ast.Attribute(value=ast.Name(id=root), attr=member):
                yield from self._member(root, member)
                return
            case ast.Subscript(value=ast.Name(id=root)) if root in self._scope.data or root in (
                "env",
                "secret",
                "setup",
            ):
                yield from self._column(root, node.slice)
                return
            case ast.Name(id=name, ctx=ast.Load()) if name in self._expression.names:
                yield from self._bare(name)
                return
            case ast.Name(id=name, ctx=ast.Store()) if name in RESERVED or name in self._scope.names:
                yield ExpressionInvalid(f"the loop variable {name!r} has the name of something else", "rename it")
                return
            case ast.BinOp(left=left, right=right):
                yield from self._text_with_number(left, right)
            case ast.Compare(left=left, ops=[ast.In() | ast.NotIn() | ast.Is() | ast.IsNot()]):
                pass
            case ast.Compare(left=left, comparators=[right]):
                yield from self._text_with_number(left, right)
            case _:
                pass
        yield from self._visit_all(list(ast.iter_child_nodes(node)))

    def _visit_all(self, nodes: Collection[ast.AST]) -> Iterator[ExpressionInvalid]:
        for node in nodes:
            yield from self._visit(node)

    def _bare(self, name: str) -> Iterator[ExpressionInvalid]:
        scope = self._scope
        if name in scope.data:
            columns = scope.data[name] or ("column",)
            yield ExpressionInvalid(f"{name!r} is a data set: name a column", f"write {name}.{columns[0]}")
        elif name == "vu":
            yield ExpressionInvalid("'vu' is not a value by itself", "write vu.id")
        elif name == "env":
            yield ExpressionInvalid(
                "'env' is not a value by itself", "write env.KEY, and pass it with -e KEY=VALUE"
            )
        elif name == "secret":
            yield ExpressionInvalid("'secret' is not a value by itself", "write secret.NAME")
        elif name == "setup":
            yield ExpressionInvalid("'setup' is not a value by itself", "write setup.NAME")
        elif name == "random":
            yield ExpressionInvalid("'random' is not a value by itself", "write random.randint(1, 20)")
        elif name == "response" and scope.response:
            yield ExpressionInvalid(
                "'response' is not a value by itself", "write response.status or another field of it"
            )
        elif name not in scope.variables and name != "iteration":
            yield self._unknown(name)

    def _unknown(self, name: str) -> ExpressionInvalid:
        scope = self._scope
        if name in scope.elsewhere:
            return ExpressionInvalid(
                f"{name!r} has rows for iterations, and this is none",
                "use it in a scenario, or write the value here",
            )
        if name in scope.later:
            return ExpressionInvalid(
                f"{name!r} is extracted later", "move the step that extracts it before this one"
            )
        if name == "response":
            return ExpressionInvalid(
                "'response' is known in the checks of a request only", "extract what you need of it"
            )
        return ExpressionInvalid(f"unknown name {name!r}", did_you_mean(name, scope.names))

    def _member(self, root: str, member: str) -> Iterator[ExpressionInvalid]:
        scope = self._scope
        if root == "env":
            yield from self._env(member)
        elif root == "secret":
            yield from self._secret(member)
        elif root == "setup":
            yield from self._setup(member)
        elif root == "vu":
            if member not in VU_MEMBERS:
                yield ExpressionInvalid(f"vu has no field {member!r}", "write vu.id")
        elif root == "response" and scope.response:
            if member not in RESPONSE_MEMBERS:
                yield ExpressionInvalid(
                    f"response has no field {member!r}", did_you_mean(member, RESPONSE_MEMBERS)
                )
        elif root in scope.data:
            columns = scope.data[root]
            if columns is not None and member not in columns:
                yield ExpressionInvalid(f"{root} has no column {member!r}", did_you_mean(member, columns))
        elif root in scope.variables or root == "iteration":
            yield ExpressionInvalid(
                f"{root!r} is a value, and has no field {member!r}", f'write {root}["{member}"]'
            )
        else:
            yield self._unknown(root)

    def _column(self, root: str, key: ast.expr) -> Iterator[ExpressionInvalid]:
        match key:
            case ast.Constant(value=str(member)):
                yield from self._member(root, member)
            case _:
                yield ExpressionInvalid(f"{root}[…] needs a fixed name in quotes", f'write {root}["name"]')

    def _env(self, key: str) -> Iterator[ExpressionInvalid]:
        if key not in self._scope.env:
            near = get_close_matches(key, self._scope.env, n=1)
            hint = f"did you mean env.{near[0]}? Or pass" if near else "pass"
            yield ExpressionInvalid(f"env.{key} was not given", f"{hint} it with -e {key}=VALUE")

    def _setup(self, name: str) -> Iterator[ExpressionInvalid]:
        known = self._scope.setup
        if known is not None and not known:
            yield ExpressionInvalid(
                f"setup.{name} is not known here", "extract it in setup: { flow: [...] } of the plan"
            )
        elif known is not None and name not in known:
            yield ExpressionInvalid(f"setup extracts no {name!r}", did_you_mean(name, known))

    def _secret(self, name: str) -> Iterator[ExpressionInvalid]:
        if self._scope.secrets is not None and name not in self._scope.secrets:
            near = get_close_matches(name, self._scope.secrets, n=1)
            hint = f"did you mean secret.{near[0]}? Or export" if near else "export"
            yield ExpressionInvalid(
                f"secret.{name} was not given", f"{hint} LOADR_SECRET_{name}, or put it into a --secret-file"
            )

    def _text_with_number(self, left: ast.expr, right: ast.expr) -> Iterator[ExpressionInvalid]:
        """What CSV files and ``-e`` give is text: ``users.age + 1`` raises, ``users.age == 3`` is never true."""
        for one, other in ((left, right), (right, left)):
            match one:
                case ast.Attribute(value=ast.Name(id=root)) | ast.Subscript(value=ast.Name(id=root)) if is_number(
                    other
                ) and (root in ("env", "secret") or root in self._scope.data):
                    text = ast.unparse(one)
                    yield ExpressionInvalid(
                        f"{text} is text, not a number", f"write int({text}) or float({text})"
                    )
                case _:
                    pass
