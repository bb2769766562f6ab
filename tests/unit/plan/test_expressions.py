from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadr.plan.expressions import (
    FUNCTIONS,
    Expression,
    ExpressionInvalid,
    parse_expression,
    parse_template,
    rewrite,
    static_text,
    whole_expression,
)


def shape(text: str) -> list[str]:
    """Literal parts as they are, expressions in angle brackets."""
    return [part if isinstance(part, str) else f"<{part.source}>" for part in parse_template(text).parts]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("plain $5 {x} $", ["plain $5 {x} $"]),
        ("${a}", ["<a>"]),
        ("${ a }${b}", ["<a>", "<b>"]),
        ("/x?p=${a}&q=${b}.", ["/x?p=", "<a>", "&q=", "<b>", "."]),
        ("$${a} ${b}", ["${a} ", "<b>"]),
        ("$$${a}", ["$${a}"]),
        ("${ {'a': {'b': 1}}['a'] }!", ["<{'a': {'b': 1}}['a']>", "!"]),
        ("${'}'}${\"{\"}", ["<'}'>", '<"{">']),
        (r"${'it\'s }'}", [r"<'it\'s }'>"]),
        ('${"\'"}', ['<"\'">']),
    ],
)
def test_a_template_is_cut_at_its_expressions(text, expected):
    assert shape(text) == expected


@given(st.text())
def test_text_without_a_dollar_and_brace_comes_out_as_it_went_in(text):
    if "${" not in text:
        assert static_text(parse_template(text)) == text


@given(st.text() | st.text(alphabet="${}a"))
def test_any_text_can_be_written_as_a_template_by_escaping(text):
    assert static_text(parse_template(text.replace("${", "$${"))) == text


@given(st.lists(st.one_of(st.just("${a}"), st.text(alphabet="ab }]'\"{", min_size=1))))
def test_parts_put_together_give_the_source(parts):
    assert "".join(
        f"${{{part[1:-1]}}}" if part.startswith("<") else part for part in shape("".join(parts))
    ) == "".join(parts)


@given(st.text(alphabet="${}'\"\\ab1+()[]:,. _\n"))
def test_a_template_is_parsed_or_refused_in_words(text):
    try:
        template = parse_template(text)
    except ExpressionInvalid as error:
        assert error.message
    else:
        assert all(isinstance(expression.names, frozenset) for expression in template.expressions)


@pytest.mark.parametrize(
    "text", ["${", "${a", "a ${b} ${c", "${'}", "${{}", "${}", "${ }", "${1 2}", "${a b}", "${a;b}"]
)
def test_a_broken_expression_is_refused(text):
    with pytest.raises(ExpressionInvalid):
        parse_template(text)


def test_an_expression_without_end_says_how_to_write_a_literal():
    with pytest.raises(ExpressionInvalid) as caught:
        parse_template("costs ${price")
    assert caught.value.message == "the expression ${price does not end: it has no closing }"
    assert caught.value.hint == "write $${ for a literal ${"


def test_a_very_long_expression_is_refused():
    with pytest.raises(ExpressionInvalid, match="2,001 characters long; the limit is 2,000"):
        parse_expression("a" * 2001)


def test_names_are_the_free_ones_without_functions_and_loop_variables():
    names = parse_expression(
        "[len(x) + y for x in users.name if x in z] and sum(q for q in w) + random.random()"
    ).names
    assert names == {"y", "users", "z", "w", "random"}


def test_a_whole_expression_is_told_from_a_text_around_one():
    assert isinstance(whole_expression(parse_template("${ 1 + 1 }")), Expression)
    assert whole_expression(parse_template("${a} ")) is None
    assert whole_expression(parse_template("a")) is None
    assert whole_expression(parse_template("")) is None


def test_expressions_and_templates_are_equal_by_their_source():
    assert parse_template("a ${b}") == parse_template("a ${ b }")
    assert parse_template("a ${b}") != parse_template("a ${c}")


def resolve(root: str, member: str | None) -> ast.expr:
    return ast.Name(f"{root}_{member}" if member else f"local_{root}", ast.Load())


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("item", "local_item"),
        ("users.name.upper()", "users_name.upper()"),
        ("users['name']", "users_name"),
        ("env['KEY'] + env.KEY", "env_KEY + env_KEY"),
        ("item['name']", "local_item['name']"),
        ("item.upper()", "local_item.upper()"),
        ("random.randint(1, vu.id)", "random_randint(1, vu_id)"),
        ("response.json['a'][iteration]", "response_json['a'][local_iteration]"),
        ("len([x for x in item if x != users.id])", "len([x for x in local_item if x != users_id])"),
        ("any(x['name'] for x in item)", "any((x['name'] for x in local_item))"),
        ("sorted(item, reverse=flag)[:2]", "sorted(local_item, reverse=local_flag)[:2]"),
        ("{'a': item} if item else (1, item)", "{'a': local_item} if local_item else (1, local_item)"),
    ],
)
def test_every_free_name_is_replaced_and_nothing_else(source, expected):
    assert ast.unparse(rewrite(parse_expression(source), resolve, rows={"users"})) == expected


def test_rewriting_leaves_the_expression_as_it_was():
    expression = parse_expression("users.name")
    rewrite(expression, resolve)
    assert ast.unparse(expression.node) == "users.name"


def test_a_rewritten_expression_compiles_and_runs():
    changed = rewrite(parse_expression("len(item) + 1"), resolve)
    code = compile(ast.Expression(changed), "plan", "eval")
    assert eval(code, {"__builtins__": {}, **FUNCTIONS, "local_item": "abc"}) == 4  # noqa: S307
