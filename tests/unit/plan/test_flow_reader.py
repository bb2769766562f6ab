from __future__ import annotations

import pytest

METHODLESS = 'write request: { get: "/items" }'
FAULTS = [
    # --- steps -------------------------------------------------------------------------------------------
    ("5", ["[0]: must be a mapping (key: value), and is 5 -> a step is one of request, think, rendezvous"]),
    ("{}", ["[0]: the step is empty -> begin each step with a dash of its own"]),
    ("{ requst: {} }", ["[0].requst: unknown step 'requst' -> did you mean 'request'?"]),
    (
        "{ request: { get: / }, think: 1s }",
        ["[0]: a step has one key -> begin each step with a dash of its own"],
    ),
    # --- think -------------------------------------------------------------------------------------------
    ("{ think: soon }", ["[0].think: 'soon' is not a duration; write 300ms, 2s, 1m30s, or bare seconds -> "]),
    ("{ think: {} }", ["[0].think: needs one of uniform and constant -> write think: { uniform: [1s, 3s] }"]),
    (
        "{ think: { uniform: [ 3s, 1s ] } }",
        ["[0].think.uniform: the shortest pause is longer than the longest -> swap them"],
    ),
    (
        "{ think: { uniform: 3s } }, { think: { uniform: [ -1, x ] } }, { think: { normal: 1 } }",
        [
            "[0].think.uniform: needs the shortest and the longest pause -> write uniform: [1s, 3s]",
            "[1].think.uniform[0]: a duration must not be negative, and -1 is -> ",
            "[1].think.uniform[1]: 'x' is not a duration; write 300ms, 2s, 1m30s, or bare seconds -> ",
            "[2].think.normal: unknown key 'normal' -> did you mean 'uniform'?",
        ],
    ),
    # --- method and url ----------------------------------------------------------------------------------
    (
        "{ request: /items }",
        [f"[0].request: must be a mapping (key: value), and is the text '/items' -> {METHODLESS}"],
    ),
    (
        "{ request: { GET: /x, url: /x } }",
        [
            f"[0].request: the request has no method -> {METHODLESS}",
            "[0].request.GET: unknown key 'GET' -> methods are in lower case: get",
            "[0].request.url: unknown key 'url' -> the method is the key, the url its value: get: /items",
        ],
    ),
    (
        "{ request: { get: /x, post: /y } }",
        ["[0].request: the request has two methods: get, post -> split it into two steps"],
    ),
    ("{ request: { get: 5 } }", ["[0].request.get: the url must be text, and is 5 -> "]),
    ("{ request: { get: '' } }", ['[0].request.get: the url is empty -> write "/" or a full address']),
    ("{ request: { get: 'items' } }", ['[0].request.get: a relative url begins with / -> write "/items"']),
    (
        "{ request: { get: '/a b' } }, { request: { get: \"/a\\nb\" } }",
        [
            "[0].request.get: the url holds a blank -> write %20, or put the value into params",
            "[1].request.get: the url holds a control character -> write %20, or put the value into params",
        ],
    ),
    (
        "{ request: { get: 'ftp://x' } }, { request: { get: 'http://' } }, { request: { get:"
        " 'localhost:80/x' } }, "
        "{ request: { get: 'http://a:b@x' } }, { request: { get: 'http://x:99999' } }, "
        "{ request: { get: 'http://x:0/' } }",
        [
            "[0].request.get: the scheme 'ftp' is not supported -> begin it with http:// or https://",
            "[1].request.get: 'http://' names no host -> write for example https://shop.example",
            "[2].request.get: 'localhost:80/x' has no scheme -> begin it with http:// or https://",
            "[3].request.get: the address holds credentials -> send them in the header authorization",
            "[4].request.get: 'http://x:99999' is not an address: Port out of range 0-65535"
            " -> write for example https://shop.example",
            "[5].request.get: 'http://x:0/' has the port 0 -> ports are from 1 to 65535",
        ],
    ),
    # --- what is sent ------------------------------------------------------------------------------------
    (
        "{ request: { post: /x, json: { a: 1 }, form: { a: 1 } } }",
        ["[0].request.form: json, form exclude each other -> keep one"],
    ),
    (
        "{ request: { post: /x, json: { a: [ 1, .nan ], b: 99999999999999999999, 'c${x}': '${y}' } } }",
        [
            "[0].request.json.a[1]: nan can not be written as JSON -> use a finite number, or null",
            "[0].request.json.b: the number needs more than 64 bits -> put it in quotes",
            "[0].request.json.c${x}: a key can not hold ${…} -> only values can",
            "[0].request.json.c${x}: unknown name 'y' -> known here: vu, iteration, env, secret, random, users",
        ],
    ),
    (
        "{ request: { post: /x, json: null } }",
        ["[0].request.json: json: null sends no body -> leave the key out, or send { }"],
    ),
    (
        "{ request: { get: /x, headers: { a: 1, 'b c': x, Content-Length: '3', d: \"x\\ny\", e: '€' } } }",
        [
            '[0].request.headers.a: must be text, and is 1 -> put it in quotes: "1"',
            "[0].request.headers[\"b c\"]: 'b c' can not be the name of a header -> ",
            "[0].request.headers.Content-Length: Content-Length is set by loadr itself -> remove it",
            "[0].request.headers.d: the value of a header is one line of Latin-1 text -> encode the value",
            "[0].request.headers.e: the value of a header is one line of Latin-1 text -> encode the value",
        ],
    ),
    (
        "{ request: { get: /x, params: { a: null, b: [ 1 ] }, body: 3, timeout: 0s, name: 'n${iteration}' } }",
        [
            "[0].request.params.a: must be text or a number or true or false, and is empty -> ",
            "[0].request.params.b: must be text or a number or true or false, and is a list -> ",
            '[0].request.body: must be text, and is 3 -> put it in quotes: "3"',
            "[0].request.name: a name is fixed text: it names a series of results"
            " -> name the kind of request; without a name the url as written is used",
        ],
    ),
    ("{ request: { get: /x, timeout: 0s } }", ["[0].request.timeout: must be longer than 0s -> "]),
    # --- checks ------------------------------------------------------------------------------------------
    (
        "{ request: { get: /x, check: { status: 2000, a: b, c: '${response.status} ', d: true, '': '${1}' } } }",
        [
            "[0].request.check.status: must be a status code or a list of them -> write 200 or [200, 304]",
            '[0].request.check.a: must be one expression -> write "${response.duration_ms < 300}"',
            '[0].request.check.c: must be one expression -> write "${response.duration_ms < 300}"',
            "[0].request.check.d: must be an expression, and is true -> ",
            '[0].request.check[""]: the check has no name -> say what must hold',
        ],
    ),
    (
        "{ request: { get: /x, check: [ 200 ] } }, { request: { get: /x, check: { status: [] } } }",
        [
            "[0].request.check: must be a mapping (key: value), and is a list -> write check: { status: 200 }",
            "[1].request.check.status: must be a status code or a list of them -> write 200 or [200, 304]",
        ],
    ),
    # --- extraction --------------------------------------------------------------------------------------
    (
        "{ request: { get: /x, extract: { a: { jsonpath: '$..[' }, b-c: { jsonpath: $.x }, vu: {"
        " jsonpath: $.x }, "
        "d: $.x, e: {}, f: { jsonpath: 5, regex: x } } } }",
        [
            "[0].request.extract.a.jsonpath: '$..[' is not a JSONPath: unexpected end of query"
            " -> write for example $.items[0].id",
            "[0].request.extract.b-c: 'b-c' can not be the name of a variable"
            " -> use letters, digits and _, as in item_id",
            "[0].request.extract.vu: the name 'vu' is taken -> give the variable another name",
            "[0].request.extract.d: must be a mapping (key: value), and is the text '$.x'"
            ' -> write d: { jsonpath: "$.items[0].id" }',
            "[0].request.extract.e.jsonpath: the key 'jsonpath' is missing -> ",
            '[0].request.extract.f.jsonpath: must be text, and is 5 -> put it in quotes: "5"',
            "[0].request.extract.f.regex: unknown key 'regex' -> known here: jsonpath",
        ],
    ),
    (
        "{ request: { get: '/${item}' } }, "
        "{ request: { get: /x, extract: { item: { jsonpath: $.x } }, check: { a: '${item == 1}' } } }, "
        "{ request: { get: '/${item}' } }",
        [
            "[0].request.get: 'item' is extracted later -> move the step that extracts it before this one",
            "[1].request.check.a: 'item' is extracted later -> move the step that extracts it before this one",
        ],
    ),
]


@pytest.mark.parametrize(("steps", "expected"), FAULTS, ids=[steps[:60] for steps, _ in FAULTS])
def test_each_fault_of_a_step_is_told(flow_faults, steps, expected):
    assert [fault.split(" ", 1)[1] for fault in flow_faults(steps)] == expected


def test_places_are_right_inside_of_nested_mappings_in_one_line(flow_faults):
    step = "      { request: { post: /x, json: { a: [ { b: '${usrs.name}' } ] } } }"
    (fault,) = flow_faults(step)
    column = step.index("'${usrs") + 1
    assert fault.startswith(f"5:{column}: [0].request.json.a[0].b: unknown name 'usrs'")


def test_a_whole_flow_is_read(desk):
    loaded = desk.load(
        "defaults: { http: { base_url: http://x } }\n"
        "data: { users: { file: users.csv } }\n"
        "scenarios:\n  a:\n    executor: constant-vus\n    vus: 1\n    duration: 1s\n    flow:\n"
        "      - request: { get: '/items?page=${random.randint(1, 20)}', name: items, timeout: 300ms,\n"
        "                   extract: { item: { jsonpath: '$.items[0].id' } },\n"
        "                   check: { status: [ 200, 304 ], fast: '${response.duration_ms < 300}' } }\n"
        "      - think: { uniform: [ 1s, 3s ] }\n      - think: 1.5\n      - think: { constant: 20ms }\n"
        "      - request: { post: '${item}', json: { user: '${users.name}', n: [ 1, null, 2.5 ] },"
        " params: { a: 1 } }\n"
        "      - request: { delete: 'https://other.example/${item}', headers: { x: 'a${vu.id}' }, form:"
        " { a: true } }\n"
    )
    get, uniform, bare, constant, post, delete = loaded.plan.scenarios["a"].flow
    assert (get.request.method, get.request.metric_name, get.request.timeout_ns) == ("GET", "items", 300_000_000)
    assert get.request.check == {"status": [200, 304], "fast": "${response.duration_ms < 300}"}
    assert get.request.extract["item"].jsonpath == "$.items[0].id"
    assert (uniform.think.low_ns, uniform.think.high_ns) == (1_000_000_000, 3_000_000_000)
    assert (bare.think.low_ns, bare.think.high_ns) == (1_500_000_000, 1_500_000_000)
    assert (constant.think.low_ns, constant.think.high_ns) == (20_000_000, 20_000_000)
    assert post.request.url == post.request.metric_name == "${item}"
    assert post.request.json_body == {"user": "${users.name}", "n": [1, None, 2.5]}
    assert delete.request.form == {"a": True}


def test_a_later_extraction_of_the_same_variable_does_not_hide_the_earlier_one(desk):
    step = "request: { get: '/${item}', extract: { item: { jsonpath: $.x } } }"
    first = step.replace("/${item}", "/")
    loaded = desk.load(
        "defaults: { http: { base_url: http://x } }\n"
        f"scenarios: {{ a: {{ executor: constant-vus, vus: 1, duration: 1s, flow: [ {first}, {step} ] }} }}"
    )
    assert len(loaded.plan.scenarios["a"].flow) == 2


def test_env_that_was_not_given_is_told_and_env_that_was_is_not(flow_faults):
    faults = flow_faults("{ request: { get: '/${env.TOKEN}${env.TOKN}' } }", env={"TOKEN": "x"})
    assert [fault.split(" ", 1)[1] for fault in faults] == [
        "[0].request.get: env.TOKN was not given -> did you mean env.TOKEN? Or pass it with -e TOKN=VALUE"
    ]


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("{ rendezvous: { name: door, users: 2 } }", []),
        ("{ rendezvous: door }", ["must be a mapping (key: value)"]),
        ("{ rendezvous: { name: door } }", ["users"]),
        ("{ rendezvous: { name: door, users: 0 } }", ["users"]),
        ("{ rendezvous: { name: door, users: 2, timeout: 0s } }", ["timeout"]),
        ("{ rendezvous: { name: door, user: 2, users: 2 } }", ["unknown key 'user'"]),
    ],
)
def test_a_rendezvous_has_a_name_and_users(flow_faults, step, expected):
    faults = flow_faults(f"{step}, 7")[:-1]
    assert len(faults) == len(expected)
    assert all(words in fault for words, fault in zip(expected, faults, strict=True)), faults
