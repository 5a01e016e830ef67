import sys

import pytest


@pytest.fixture
def astro_sim(monkeypatch, capsys, tmp_path):
    """Run the program in this process, in an empty folder -> (exit code, stdout, stderr)."""
    from astro_sim.__main__ import app
    from foundation import cli

    monkeypatch.chdir(tmp_path)

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["astro_sim", *words])
        try:
            cli.run(app)
        except SystemExit as end:
            code = end.code or 0
        else:
            code = 0
        return code, *capsys.readouterr()

    return call
