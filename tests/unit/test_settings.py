"""Settings: defaults beside the configuration, strictness, errors that name the variable, never its value."""

from __future__ import annotations

from pathlib import Path

import pytest

from neuronode_router.errors import SettingsError
from neuronode_router.settings import Settings, variable


def test_defaults_stand_beside_the_configuration(tmp_path: Path) -> None:
    """With nothing set, every path lies beside the file LiteLLM was started with."""
    settings = Settings.load({}, config=tmp_path / "litellm_config.yaml")

    assert settings.config == tmp_path / "litellm_config.yaml"
    assert settings.profiles == tmp_path / "profiles"
    assert settings.state_dir == tmp_path / ".neuronode"
    assert settings.state_url == f"sqlite:///{tmp_path}/.neuronode/control.db"
    assert (settings.redis_url, settings.access_file, settings.default_profile) == (None, None, None)


def test_without_any_configuration_the_working_directory_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`./litellm_config.yaml` is the last resort, and it is made absolute at once."""
    monkeypatch.chdir(tmp_path)

    assert Settings.load({}).config == tmp_path / "litellm_config.yaml"


def test_the_variable_goes_before_the_hosts_file(tmp_path: Path) -> None:
    """`serve` starts LiteLLM with a derived file, so NEURONODE_CONFIG must win over what LiteLLM reads."""
    environ = {
        "NEURONODE_CONFIG": str(tmp_path / "mine.yaml"),
        "NEURONODE_STATE_DIR": str(tmp_path / "state"),
    }

    settings = Settings.load(environ, config=Path("/elsewhere/effective.yaml"))

    assert settings.config == tmp_path / "mine.yaml"
    assert settings.profiles == tmp_path / "profiles"
    assert settings.state_url == f"sqlite:///{tmp_path}/state/control.db"


def test_an_empty_variable_is_unset() -> None:
    """Compose files pass `${X:-}` on as an empty string; that must not become an empty path or URL."""
    settings = Settings.load({"NEURONODE_REDIS_URL": "", "NEURONODE_ACCESS_FILE": " "})

    assert settings.redis_url is None
    assert settings.access_file is None


def test_made_up_variables_are_ignored() -> None:
    """Kubernetes injects `<SERVICE>_PORT` for a service named neuronode-router."""
    assert Settings.load({"NEURONODE_ROUTER_PORT": "tcp://10.0.0.1:4000"}).poll_seconds == 0.5


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("poll_seconds", "0"),
        ("poll_seconds", "inf"),
        ("heartbeat_seconds", "soon"),
        ("receipt_timeout", "-1"),
        ("render", "maybe"),
        ("write_limit", "many/second"),
        ("write_limit", "0/second"),
        ("state_url", "mysql://root:hunter2@db/x"),
        ("state_url", "sqlite://"),
        ("state_url", "sqlite:///"),
        ("state_url", "sqlite+pysqlite:///:memory:"),
        ("redis_url", "http://user:hunter2@cache"),
    ],
)
def test_an_unusable_value_is_refused_by_name(name: str, value: str) -> None:
    """The error names the variable and what would do; the value (it may hold a password) is left out."""
    with pytest.raises(SettingsError) as caught:
        Settings.load({variable(name): value})

    assert variable(name) in caught.value.message
    assert "hunter2" not in caught.value.message
    assert caught.value.fix


def test_all_unusable_values_are_named_at_once() -> None:
    """An operator fixes everything in one go."""
    with pytest.raises(SettingsError) as caught:
        Settings.load({"NEURONODE_RENDER": "x", "NEURONODE_POLL_SECONDS": "x"})

    assert "NEURONODE_RENDER" in caught.value.message
    assert "NEURONODE_POLL_SECONDS" in caught.value.message


def test_a_worker_must_outlive_one_late_heartbeat() -> None:
    """A time to live below two heartbeats would declare live workers dead."""
    with pytest.raises(SettingsError, match="NEURONODE_WORKER_TTL_SECONDS"):
        Settings.load({"NEURONODE_HEARTBEAT_SECONDS": "4", "NEURONODE_WORKER_TTL_SECONDS": "7"})


def test_passwords_in_urls_stay_out_of_repr() -> None:
    """Settings may be logged whole."""
    settings = Settings.load(
        {
            "NEURONODE_STATE_URL": "postgresql://me:hunter2@db/x",
            "NEURONODE_REDIS_URL": "redis://:hunter2@cache:6379/0",
        }
    )

    assert "hunter2" not in repr(settings)


CANARY = "hunter2canary"
RUN_TOGETHER = (
    "{scheme}://user:{canary}@host:notaport/x",
    "{scheme}://user:pa@{canary}@host/x",
    "{scheme}://user:{canary}/rest@host/x",
    "{scheme}://user:pa#{canary}@host/x",
    "{scheme}://user:{canary}@host:99999/x",
    "{scheme}://user:{canary}@[::1/x",
)
"""Addresses with a password that was not encoded, or with a mistake beside it."""


def secret_addresses() -> dict[str, str]:
    """Return every setting that is kept out of `repr`, with a scheme it takes."""
    hidden = [name for name, field in Settings.model_fields.items() if not field.repr]
    return {name: "redis" if "redis" in name else "postgresql" for name in hidden}


@pytest.mark.parametrize("name", secret_addresses())
@pytest.mark.parametrize("written", RUN_TOGETHER)
def test_an_address_that_cannot_be_read_is_refused_before_anybody_quotes_it(name: str, written: str) -> None:
    """The variable is named, and the mend; no part of the value."""
    url = written.format(scheme=secret_addresses()[name], canary=CANARY)

    with pytest.raises(SettingsError, match=variable(name)) as caught:
        Settings.load({variable(name): url})

    assert "percent-encode" in caught.value.message
    assert CANARY not in f"{caught.value.message}{caught.value.fix}"


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("state_url", "postgresql://user:p%40ss%3A%2F@host:5432/x?sslmode=require"),
        ("state_url", "postgres://host/x"),
        ("state_url", "sqlite:////srv/odd#name@here/control.db"),
        ("redis_url", "redis://:p%40ss@host:6379/0"),
        ("redis_url", "unix:///run/redis#1.sock"),
        ("redis_url", "rediss://[::1]:6380"),
    ],
)
def test_well_written_addresses_are_taken(name: str, url: str) -> None:
    """Encoded passwords, IPv6, sockets and files."""
    assert getattr(Settings.load({variable(name): url}), name) == url
