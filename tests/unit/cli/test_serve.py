import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from loadr.cli import main


@pytest.fixture
def served(monkeypatch) -> list[SimpleNamespace]:
    """The options that the two shells were called with; neither starts anything."""
    calls: list[SimpleNamespace] = []

    def serve(options: SimpleNamespace) -> int:
        calls.append(options)
        return 0

    for name, options in (("loadr.api.daemon", "ControllerOptions"), ("loadr.agent", "AgentOptions")):
        shell = ModuleType(name)
        shell.serve = serve  # type: ignore[attr-defined]
        setattr(shell, options, SimpleNamespace)
        monkeypatch.setitem(sys.modules, name, shell)
    return calls


def test_a_controller_listens_on_loopback_unless_told_otherwise(served) -> None:
    assert main(["controller"]) == 0
    (options,) = served
    assert (options.bind, options.api, options.insecure) == ("127.0.0.1:7625", "127.0.0.1:8089", False)
    assert (options.tls_cert, options.tls_key, options.tls_client_ca, options.data_dir) == (None,) * 4


def test_a_controller_takes_its_certificates(served, tmp_path: Path) -> None:
    pem = tmp_path / "x.pem"
    pem.write_text("x")
    files = ["--tls-cert", str(pem), "--tls-key", str(pem), "--tls-client-ca", str(pem)]
    assert main(["controller", "--bind", "0.0.0.0:1", *files, "--data-dir", str(tmp_path)]) == 0
    assert (served[0].bind, served[0].tls_client_ca, served[0].data_dir) == ("0.0.0.0:1", pem, tmp_path)


def test_an_agent_joins_with_name_labels_and_workers(served) -> None:
    flags = ["--name", "a", "--label", "zone=eu", "--label", "rack=1", "--workers", "3", "--insecure"]
    assert main(["agent", "--join", "10.0.0.1:7625", *flags]) == 0
    (options,) = served
    assert (options.join, options.name, options.workers, options.insecure) == ("10.0.0.1:7625", "a", 3, True)
    assert options.labels == {"zone": "eu", "rack": "1"}


def test_an_agent_needs_no_name_and_uses_every_core(served) -> None:
    assert main(["agent", "--join", "localhost:7625"]) == 0
    assert (served[0].name, served[0].workers, served[0].work_dir) == (None, None, None)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["agent"], "--join"),
        (["agent", "--join", "nowhere"], "HOST:PORT"),
        (["agent", "--join", "a:1", "--workers", "0"], "'auto' nor a number"),
        (["controller", "--bind", "1"], "HOST:PORT"),
        (["controller", "--tls-cert", "/no/such.pem"], "does not exist"),
        (["controller", "--tls-cert", "{pem}"], "go together"),
        (["agent", "--join", "a:1", "--tls-key", "{pem}"], "go together"),
        (["controller", "--tls-client-ca", "{pem}"], "needs --tls-cert"),
    ],
)
def test_what_can_not_work_is_refused_before_anything_starts(served, capsys, tmp_path, arguments, words) -> None:
    pem = tmp_path / "x.pem"
    pem.write_text("x")
    assert main([argument.format(pem=pem) for argument in arguments]) == 104
    assert words in capsys.readouterr().err
    assert served == []
