from __future__ import annotations

import pytest

from loadr.plan.expressions import parse_template
from loadr.plan.scope import Scope, did_you_mean, misuses

SCOPE = Scope(
    data={"users": ("name", "age"), "unread": None}, env={"TOKEN"}, variables={"item"}, later={"item", "order"}
)
CHECK = Scope(data=SCOPE.data, response=True)


def told(text: str, scope: Scope = SCOPE) -> list[tuple[str, str]]:
    return [(fault.message, fault.hint) for fault in misuses(parse_template(text), scope)]


@pytest.mark.parametrize(
    "text",
    [
        "${users.name} ${users['name']} ${unread.anything}",
        "${env.TOKEN} ${env['TOKEN'].lower()}",
        "${vu.id} ${iteration + 1} ${random.randint(1, 2)}",
        "${item} ${item['id'].upper()} ${item[0]}",
        "${[x for x in item if x != users.name]}",
        "${users.age == '3'} ${int(users.age) > 3} ${'a' in users.name}",
    ],
)
def test_what_is_known_may_be_used(text):
    assert told(text) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${usrs.name}", ("unknown name 'usrs'", "did you mean 'users'?")),
        ("${itm}", ("unknown name 'itm'", "did you mean 'item'?")),
        ("${zzz}", ("unknown name 'zzz'", "known here: vu, iteration, env, secret, random, users, unread, item")),
        ("${users.nam}", ("users has no column 'nam'", "did you mean 'name'?")),
        ("${users['nam']}", ("users has no column 'nam'", "did you mean 'name'?")),
        ("${users[item]}", ("users[…] needs a fixed name in quotes", 'write users["name"]')),
        ("${users}", ("'users' is a data set: name a column", "write users.name")),
        ("${unread}", ("'unread' is a data set: name a column", "write unread.column")),
        ("${users.get('name')}", ("'users' is a data set: name a column", "write users.name")),
        ("${order}", ("'order' is extracted later", "move the step that extracts it before this one")),
        ("${order['x']}", ("'order' is extracted later", "move the step that extracts it before this one")),
        ("${item.id}", ("'item' is a value, and has no field 'id'", 'write item["id"]')),
        ("${env.TOKN}", ("env.TOKN was not given", "did you mean env.TOKEN? Or pass it with -e TOKN=VALUE")),
        ("${env['X']}", ("env.X was not given", "pass it with -e X=VALUE")),
        ("${env}", ("'env' is not a value by itself", "write env.KEY, and pass it with -e KEY=VALUE")),
        ("${vu}", ("'vu' is not a value by itself", "write vu.id")),
        ("${vu.name}", ("vu has no field 'name'", "write vu.id")),
        ("${[random]}", ("'random' is not a value by itself", "write random.randint(1, 20)")),
        ("${secret}", ("'secret' is not a value by itself", "write secret.NAME")),
        ("${secret[1]}", ("secret[…] needs a fixed name in quotes", 'write secret["name"]')),
        ("${secret.PIN + 1}", ("secret.PIN is text, not a number", "write int(secret.PIN) or float(secret.PIN)")),
        (
            "${response.status}",
            ("'response' is known in the checks of a request only", "extract what you need of it"),
        ),
        ("${users.age + 1}", ("users.age is text, not a number", "write int(users.age) or float(users.age)")),
        ("${3 > env.TOKEN}", ("env.TOKEN is text, not a number", "write int(env.TOKEN) or float(env.TOKEN)")),
        (
            "${users['age'] == 3}",
            ("users['age'] is text, not a number", "write int(users['age']) or float(users['age'])"),
        ),
        ("${[1 for users in item]}", ("the loop variable 'users' has the name of something else", "rename it")),
        ("${[1 for env in item]}", ("the loop variable 'env' has the name of something else", "rename it")),
    ],
)
def test_what_is_not_known_or_misused_is_told_with_a_hint(text, expected):
    assert told(text) == [expected]


def test_a_response_is_known_in_checks_with_its_fields():
    assert told("${response.status == 200 and response.json['a'] and 'x' in response.text}", CHECK) == []
    assert told("${response.sttus}", CHECK) == [("response has no field 'sttus'", "did you mean 'status'?")]
    assert told("${response}", CHECK) == [
        ("'response' is not a value by itself", "write response.status or another field of it")
    ]


def test_every_misuse_is_told_once():
    assert [message for message, _ in told("${a} ${b + a} ${users.x}")] == [
        "unknown name 'a'",
        "unknown name 'b'",
        "users has no column 'x'",
    ]


def test_a_hint_names_the_nearest_word_or_all_of_few_or_nothing():
    assert did_you_mean("vuss", ["vus", "rate"]) == "did you mean 'vus'?"
    assert did_you_mean("zzz", ["vus", "rate"]) == "known here: vus, rate"
    assert did_you_mean("zzz", [f"name{i}" for i in range(50)]) == ""
    assert did_you_mean("zzz", []) == ""
