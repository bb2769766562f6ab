from __future__ import annotations

import ast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadr.plan.sandbox import FUNCTIONS, METHODS, ExpressionInvalid, check_expression, is_number, shorten


def check(source: str) -> frozenset[str]:
    return check_expression(ast.parse(source, mode="eval"))


ATTACKS = [
    "().__class__",
    "''.__class__.__mro__[1].__subclasses__()",
    "[x for x in ().__class__.__bases__]",
    "[x.__class__ for x in [1]]",
    "[x.real for x in [1]]",
    "{x.gi_frame: 1 for x in y}",
    "f'{x.__class__}'",
    "f'{1:>1000000000}'",
    "'{0.__class__}'.format(x)",
    "'{a}'.format_map(x)",
    "'%1000000000d' % 1",
    "x % 1",
    "getattr(x, '__class__')",
    "__import__('os')",
    "__builtins__",
    "open('/etc/passwd')",
    "eval('1')",
    "exec('1')",
    "print(1)",
    "type(x)",
    "vars()",
    "globals()['x']",
    "len.__self__",
    "x.__globals__",
    "random.__loader__",
    "random._os.system('x')",
    "random.seed(1)",
    "random.SystemRandom()",
    "users.name.__class__",
    "response.headers.update({})",
    "item.pop()",
    "item.append(1)",
    "item.clear()",
    "lambda: 1",
    "(lambda: 1)()",
    "(y := 1)",
    "[*x]",
    "{**x}",
    "len(*x)",
    "len(**x)",
    "sorted(x, key=len)",
    "sorted(x, key=x.__class__)",
    "9 ** 9 ** 9",
    "1 << 1000000000",
    "1 >> 1",
    "1 | 2",
    "1 & 2",
    "1 ^ 2",
    "~1",
    "x @ y",
    "'a' * 1000000000",
    "1000000000 * 'a'",
    "[0] * 1000000000",
    "users.name * 1000000000",
    "('a' if x else 1) * 9",
    "max('a', 'b') * 9",
    "await x",
    "(yield)",
    "(x for x in y)",
    "[x async for x in y]",
    "[a for a in b for c in d for e in f]",
    "[[[1 for x in y] for z in y] for w in y]",
    "[1 for x.y in z]",
    "[1 for x[0] in z]",
    "[1 for len in z]",
    "[1 for __x in z]",
    "[x for x in x]",
    "b'x'",
    "1j",
    "...",
    "len",
    "random.choice",
    "x.y.z",
    "x().y",
    "x[0].y",
    "x()",
    "x[0]()",
    "-" * 60 + "1",
    "+".join(["1"] * 60),
]


@pytest.mark.parametrize("source", ATTACKS)
def test_what_could_reach_beyond_values_or_fill_the_memory_is_refused(source):
    with pytest.raises((ExpressionInvalid, SyntaxError)) as caught:
        check(source)
    assert str(caught.value)


ALLOWED = [
    ("1 + 2 * 3 - 4 / 5 // 6 % 7", set()),
    ("-1.5 and not True or None", set()),
    ("a if b else c", {"a", "b", "c"}),
    ("a[0][-1]['x'][1:2]", {"a"}),
    ("1 < a <= 3 != b in [1, (2, 3), {4}, {'k': 5}]", {"a", "b"}),
    ("users.name", {"users"}),
    ("users['name'].strip().upper().replace('a', 'b').split(',')[0]", {"users"}),
    ("','.join([str(x) for x in items if x])", {"items"}),
    ("{k: v for k, v in item.items() if k.startswith('a')}", {"item"}),
    ("{x for x in sorted(a, reverse=True)}", {"a"}),
    ("min((len(x) for x in a), default=0)", {"a"}),
    ("random.randint(1, 20) * 5 % 3", {"random"}),
    ("response.status * 2 + response.duration_ms * vu.id", {"response", "vu"}),
    (
        "int(users.age) * -float(a) * round(b) * abs(c) * (1 if d else 2) * iteration",
        set("abcd") | {"users", "iteration"},
    ),
    ("response.headers.get('x', '')", {"response"}),
    ("[a for a in b for c in d]", {"b", "d"}),
]


@pytest.mark.parametrize(("source", "names"), ALLOWED)
def test_what_looks_at_values_only_is_allowed(source, names):
    assert check(source) == names


def test_a_refusal_says_what_to_write_instead():
    with pytest.raises(ExpressionInvalid) as caught:
        check("users.price * 2")
    assert caught.value.message == "users.price may be text, and * is for numbers only"
    assert caught.value.hint == "write int(users.price) or float(users.price)"
    with pytest.raises(ExpressionInvalid) as caught:
        check("response.json().a")
    assert "write" in caught.value.hint or "allowed" in caught.value.hint


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        *(("1", True), ("iteration", True), ("'a'", False), ("a", False), ("len(a)", True), ("max(a)", False)),
        *(("a + 1", False), ("1 + 1", True), ("-a", False), ("not a", True), ("random.choice(a)", False)),
    ],
)
def test_a_number_is_known_by_its_form_alone(source, expected):
    assert is_number(ast.parse(source, mode="eval").body) is expected


NAMES = st.sampled_from(["a", "users", "random", "response", "__import__", "getattr", "len", "str", "x", "_y"])
ATTRIBUTES = st.sampled_from(
    ["__class__", "name", "format", "upper", "join", "randint", "_x", "gi_frame", "real", "items", "append"]
)
SOURCES = st.recursive(
    st.one_of(NAMES, st.sampled_from(["1", "'a'", "()", "[]", "{}", "None", "9999"])),
    lambda inner: st.one_of(
        st.tuples(inner, ATTRIBUTES).map(".".join),
        st.tuples(inner, inner).map(lambda p: f"{p[0]}({p[1]})"),
        st.tuples(inner, inner).map(lambda p: f"{p[0]}[{p[1]}]"),
        st.tuples(inner, st.sampled_from(["+", "*", "%", "**", "<<", "and", "<"]), inner).map(
            lambda p: " ".join(p)
        ),
        st.tuples(inner, inner).map(lambda p: f"[{p[0]} for x in {p[1]}]"),
        st.tuples(inner, inner).map(lambda p: f"sum({p[0]} for x in {p[1]})"),
        inner.map(lambda p: f"f'{{{p}}}'"),
        inner.map(lambda p: f"(lambda x: {p})"),
        inner.map(lambda p: f"(x := {p})"),
    ),
    max_leaves=8,
)


@settings(max_examples=300)
@given(SOURCES)
def test_nothing_that_passes_reads_an_attribute_of_a_value_or_calls_what_is_not_listed(source):
    try:
        tree = ast.parse(source, mode="eval")
    except (SyntaxError, ValueError):
        return
    try:
        names = check_expression(tree)
    except ExpressionInvalid:
        return
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            assert not node.attr.startswith("_")
            assert node.attr in METHODS or (isinstance(node.value, ast.Name) and node.value.id in names)
            assert id(node) in called or (isinstance(node.value, ast.Name) and node.value.id in names)
        if isinstance(node, ast.Name):
            assert not node.id.startswith("__")
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id in FUNCTIONS
        assert not isinstance(
            node, ast.Lambda | ast.NamedExpr | ast.JoinedStr | ast.Pow | ast.LShift | ast.Starred
        )


def test_long_sources_are_shortened_for_messages():
    assert shorten("a" * 60) == "a" * 60
    assert shorten("a" * 61) == "a" * 57 + "…"
