"""A missing server fails `make test` and lets a quick run by hand go on."""

import pytest

from deploy.own_process import ServerMissing
from tests.conftest import missing_server

MISSING = ServerMissing("mosquitto is not installed: sudo apt-get install mosquitto")


def test_a_missing_server_is_skipped_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROLLCALL_REQUIRE_SERVERS", raising=False)
    with pytest.raises(pytest.skip.Exception, match="mosquitto is not installed"):
        missing_server(MISSING)


def test_a_missing_server_fails_a_run_that_requires_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROLLCALL_REQUIRE_SERVERS", "1")
    with pytest.raises(pytest.fail.Exception, match="mosquitto is not installed"):
        missing_server(MISSING)
