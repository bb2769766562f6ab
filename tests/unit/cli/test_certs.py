"""`loadr certs init` makes what is not there and prints what to type next."""

from __future__ import annotations

from pathlib import Path

from loadr.cli import main


def test_it_prints_the_next_two_commands(capsys, tmp_path: Path) -> None:
    folder = tmp_path / "my certs"
    assert main(["certs", "init", str(folder), "--agent", "a1", "--host", "ctl.example"]) == 0
    out = capsys.readouterr().out
    assert out.count("made ") == 3
    assert f"--tls-cert '{folder}'/controller.pem" in out and "loadr controller --bind" in out
    assert "loadr agent --join ctl.example:7625 --name a1 --tls-ca ca.pem --tls-cert a1.pem" in out


def test_again_it_says_what_it_kept(capsys, tmp_path: Path) -> None:
    main(["certs", "init", str(tmp_path), "--agent", "a1"])
    capsys.readouterr()
    assert main(["certs", "init", str(tmp_path), "--agent", "a2", "--host", "other.example"]) == 0
    out = capsys.readouterr().out
    assert out.count("made ") == 1 and out.count("kept ") == 2
    assert "remove controller.pem and controller.key first" in out


def test_a_name_that_can_not_be_is_one_message(capsys, tmp_path: Path) -> None:
    assert main(["certs", "init", str(tmp_path), "--agent", "../a"]) == 104
    assert "can not be the name" in capsys.readouterr().err
