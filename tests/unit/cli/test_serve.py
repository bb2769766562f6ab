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

    for name, options in (("loadr.api.daemon", "ControllerOptions"), ("loadr.agent_process", "AgentOptions")):
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


def test_tokens_and_the_guards_of_the_api_are_files(served, tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_text("x")
    names = ("token_file", "api_tls_cert", "api_tls_key", "api_token_file")
    flags = [text for name in names for text in (f"--{name.replace('_', '-')}", str(file))]
    assert main(["controller", *flags]) == 0
    assert [getattr(served[0], name) for name in names] == [file] * 4
    assert main(["agent", "--join", "h:1", "--token-file", str(file)]) == 0
    assert served[1].token_file == file
    assert main(["controller", "--token-file", str(tmp_path / "nothing")]) == 104


def test_an_agent_joins_with_name_labels_and_workers(served) -> None:
    flags = ["--name", "a", "--label", "zone=eu", "--label", "rack=1", "--workers", "3", "--insecure"]
    assert main(["agent", "--join", "10.0.0.1:7625", *flags]) == 0
    (options,) = served
    assert (options.join, options.name, options.workers, options.insecure) == ("10.0.0.1:7625", "a", 3, True)
    assert options.labels == {"zone": "eu", "rack": "1"}


def test_an_agent_is_told_of_its_corpora_by_a_flag_or_a_variable(served, monkeypatch) -> None:
    assert main(["agent", "--join", "a:1", "--corpus", "x=/data/x", "--corpus", "y=/data/y"]) == 0
    assert served[0].corpora == {"x": Path("/data/x"), "y": Path("/data/y")}
    monkeypatch.setenv("LOADR_AGENT_CORPUS", "x=/data/x y=/data/y")
    assert main(["agent", "--join", "a:1"]) == 0
    assert served[1].corpora == served[0].corpora


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
