"""The command line itself: help, version, unknown commands."""

from __future__ import annotations

import pytest

from suture import cli


def test_an_unknown_command_is_told_with_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["sevre"])
    assert stopped.value.code == 2
    assert "no command named 'sevre'" in capsys.readouterr().err


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["--help"])
    out = capsys.readouterr().out
    assert "suture demo" in out
    assert all(name in out for name in cli.COMMANDS)
