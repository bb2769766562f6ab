from __future__ import annotations

import pytest

REST = "\nscenarios: { a: { executor: constant-vus, vus: 1, duration: 1s, flow: [ think: 1s ] } }"
NO_KEY = "known here: base_url, timeout, headers, tls_verify, tls_ca"
FAULTS = [
    ("{ base_url: 5 }", ["base_url: must be text, and is 5 -> put it in quotes: \"5\""]),
    ("{ base_url: shop.example }", ["base_url: 'shop.example' has no scheme -> begin it with http:// or https://"]),
    ("{ base_url: 'ftp://x' }", ["base_url: the scheme 'ftp' is not supported -> begin it with http:// or https://"]),
    ("{ base_url: 'http://' }", ["base_url: 'http://' names no host -> write for example https://shop.example"]),
    (
        "{ base_url: 'http://x/?a=1' }",
        ["base_url: base_url has a query or a fragment -> put it into the urls of the requests"],
    ),
    (
        "{ base_url: 'http://[::1/' }",
        ["base_url: 'http://[::1/' is not an address: Invalid IPv6 URL -> write for example https://shop.example"],
    ),
    (
        "{ base_url: 'http://${env.HSOT}' }",
        ["base_url: env.HSOT was not given -> did you mean env.HOST? Or pass it with -e HSOT=VALUE"],
    ),
    (
        "{ base_url: 'http://${vu.id}' }",
        ["base_url: base_url is the same for all: ${vu.id} can not be used -> use ${env.KEY}"],
    ),
    (
        "{ base_url: 'http://${' }",
        ["base_url: the expression ${ does not end: it has no closing } -> write $${ for a literal ${"],
    ),
    ("{ timeut: 1s }", ["timeut: unknown key 'timeut' -> did you mean 'timeout'?"]),
    ("{ timeout: 0 }", ["timeout: must be longer than 0s -> "]),
    ("{ timeout: -1s, tls_verify: 1 }", [
        "timeout: a duration must not be negative, and -1s is -> ",
        "tls_verify: must be true or false, and is 1 -> ",
    ]),
    (
        "{ headers: { accept: 1, 'x y': z, token: '${users.x}' } }",
        [
            'headers.accept: must be text, and is 1 -> put it in quotes: "1"',
            "headers[\"x y\"]: 'x y' can not be the name of a header -> ",
            "headers.token: unknown name 'users' -> known here: vu, iteration, env, secret, random",
        ],
    ),
    ("{ tls_ca: ca.pem }", ["tls_ca: there is no file ca.pem -> its folder has no .pem file"]),
    (
        "{ tls_ca: users.csv }",
        ["tls_ca: users.csv holds no certificate -> a PEM file begins with -----BEGIN CERTIFICATE-----"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("http", "expected"), FAULTS, ids=[http for http, _ in FAULTS])
def test_each_fault_of_the_defaults_is_told(desk, http, expected):
    faults = desk.faults(f"defaults: {{ http: {http} }}{REST}", env={"HOST": "x"})
    assert [fault.partition("defaults.http.")[2] for fault in faults] == expected


@pytest.mark.parametrize(
    ("defaults", "expected"),
    [
        (
            "5",
            "1:11: defaults: must be a mapping (key: value), and is 5"
            " -> write http: and below it base_url, timeout, headers, tls_verify, tls_ca",
        ),
        ("{ https: {} }", "1:13: defaults.https: unknown key 'https' -> did you mean 'http'?"),
        (
            "{ http: x }",
            "1:19: defaults.http: must be a mapping (key: value), and is the text 'x'"
            ' -> write base_url: "https://shop.example"',
        ),
    ],
)
def test_defaults_of_the_wrong_shape_are_told(desk, defaults, expected):
    assert desk.faults(f"defaults: {defaults}{REST}") == [expected]


def test_env_is_put_into_base_url_and_a_slash_at_its_end_is_dropped(desk):
    loaded = desk.load(
        "defaults: { http: { base_url: 'http://${env.HOST}:${env[\"PORT\"]}/v1/', headers: { x:"
        " '${env.HOST}' } } }" + REST,
        env={"HOST": "shop.example", "PORT": "8080"},
    )
    http = loaded.plan.defaults.http
    assert http.base_url == "http://shop.example:8080/v1"
    assert http.headers == {"x": "${env.HOST}"}


def test_a_wrong_address_that_comes_from_env_is_told(desk):
    assert desk.faults("defaults: { http: { base_url: '${env.URL}' } }" + REST, env={"URL": "shop"}) == [
        "1:31: defaults.http.base_url: 'shop' has no scheme -> begin it with http:// or https://"
    ]


def test_a_certificate_authority_travels_with_the_plan(desk):
    desk.write("certs/ca.pem", "-----BEGIN CERTIFICATE-----\n")
    loaded = desk.load("defaults: { http: { tls_ca: ./certs/ca.pem } }" + REST)
    assert loaded.plan.defaults.http.tls_ca == "certs/ca.pem"
    assert list(loaded.files) == ["certs/ca.pem"]
