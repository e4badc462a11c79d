"""What `serve` refuses before it starts anything, and what LiteLLM is started with."""

from __future__ import annotations

import shutil
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import yaml

from neuronode_router.cli.serve.master_key import MasterKey
from neuronode_router.cli.serve.prepare import Listen, Prepared, litellm_environ, prepared
from neuronode_router.domain.names import TASK_ALIASES
from neuronode_router.errors import (
    ProfilesInvalid,
    SchemaTooNew,
    SettingsError,
    StateUnreadable,
    StoreUnavailable,
)
from neuronode_router.metrics.catalogue import DIRECTORY_VARIABLE
from neuronode_router.settings import Settings
from tests.support.migrated import migrated_by_a_newer_release, with_a_revision_of_a_newer_release

CONFIG = """
model_list:
- {model_name: small, litellm_params: {model: openai/small, api_key: os.environ/OPENAI_API_KEY}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A configuration with one group and the profile every set needs."""
    (tmp_path / "litellm_config.yaml").write_text(CONFIG)
    (tmp_path / "profiles").mkdir()
    profile = {
        "description": "all small",
        "cost_level": "low",
        "performance_level": "low",
        "tasks": dict.fromkeys(TASK_ALIASES, "small"),
        "tiers": {"fast": ["small"], "medium": ["small"], "complex": ["small"]},
    }
    (tmp_path / "profiles/balanced.yaml").write_text(yaml.safe_dump(profile))
    return tmp_path


def settings(folder: Path, **environ: str) -> Settings:
    """Settings as `serve` loads them."""
    return Settings.load({"NEURONODE_CONFIG": str(folder / "litellm_config.yaml"), **environ})


@asynccontextmanager
async def preparing(folder: Path, *, listen: Listen | None = None, **environ: str) -> AsyncIterator[Prepared]:
    """Prepare on a free port."""
    where = listen or Listen("127.0.0.1", free_port(), 1)
    async with prepared(settings(folder, **environ), environ, where) as result:
        yield result


async def test_without_keys_everything_is_embedded_in_a_private_file(folder: Path) -> None:
    """The effective configuration holds the local key only, and only its owner may read it."""
    async with preparing(folder) as result:
        assert result.plan.embedded == {"small": "OPENAI_API_KEY is not set"}
        assert result.embedded is not None
        assert stat.S_IMODE(result.effective.stat().st_mode) == 0o600
        assert stat.S_IMODE((folder / ".neuronode").stat().st_mode) == 0o700
        assert result.key.secret not in result.effective.read_text()
        assert result.key.secret not in repr(result)


async def test_with_a_key_nothing_is_embedded(folder: Path) -> None:
    """No model is needed, and the key stays in the environment."""
    async with preparing(folder, OPENAI_API_KEY="sk-real") as result:
        assert result.embedded is None
        assert "sk-real" not in result.effective.read_text()


@pytest.mark.parametrize("key", ["sk-schl\u00fcssel", "sk-a\nb", "sk-a\n", "\u201csk-a\u201d"])
async def test_a_key_that_no_header_carries_is_refused(folder: Path, key: str) -> None:
    """Not in the first request: its variable is named at the start, whatever names it, and not its text."""
    config = folder / "litellm_config.yaml"
    for variable, params in (
        ("OPENAI_API_KEY", "{model: openai/small, api_key: os.environ/OPENAI_API_KEY}"),
        ("OTHER_KEY", "{model: openai/small, api_key: os.environ/OTHER_KEY, api_base: 'http://gpu:1/v1'}"),
        ("GEMINI_API_KEY", "{model: gemini/small}"),
        ("OLLAMA_API_KEY", "{model: ollama_chat/small, api_base: 'http://127.0.0.1:1'}"),
    ):
        config.write_text(f"model_list: [{{model_name: small, litellm_params: {params}}}]\n")
        with pytest.raises(SettingsError, match=f"The key in {variable}") as refused:
            async with preparing(folder, **{variable: key}):
                pass
        assert key not in str(refused.value)

    async with preparing(folder, OLLAMA_API_KEY="sk-good", MISTRAL_API_KEY=key) as result:
        assert result.plan.embedded, "what no deployment uses stops nothing"


async def test_a_configuration_may_set_variables_itself(folder: Path) -> None:
    """What it says counts as LiteLLM counts it: a provider's key, the master key, a database."""
    given = {
        "OPENAI_API_KEY": "sk-real",
        "PROXY_KEY": "sk-mine-and-long",
        "DATABASE_URL": "postgresql://db/x",
    }
    path = folder / "litellm_config.yaml"
    general = {"general_settings": {"master_key": "os.environ/PROXY_KEY"}}
    path.write_text(CONFIG + yaml.safe_dump({"environment_variables": given, **general}))

    async with preparing(folder, NEURONODE_ACCESS_FILE=str(folder / "access.yaml")) as result:
        assert result.plan.embedded == {}
        assert result.environ["LITELLM_MASTER_KEY"] == "sk-mine-and-long"
        assert "custom_auth" not in result.effective.read_text()


async def test_an_access_file_is_used_where_there_is_no_database(folder: Path) -> None:
    """With a database LiteLLM knows the keys itself."""
    access = {"NEURONODE_ACCESS_FILE": str(folder / "access.yaml")}

    async with preparing(folder, **access) as result:
        assert "custom_auth: neuronode_router.plugin.authenticate" in result.effective.read_text()

    async with preparing(folder, DATABASE_URL="postgresql://db/x", **access) as result:
        assert "custom_auth" not in result.effective.read_text()


async def test_a_port_in_use_is_refused(folder: Path) -> None:
    """LiteLLM would take another port at random, and say so in passing."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()

        with pytest.raises(SettingsError, match="cannot be used") as caught:
            async with preparing(folder, listen=Listen("127.0.0.1", taken.getsockname()[1], 1)):
                pass

    assert "--port" in caught.value.fix


async def test_a_state_directory_in_use_is_refused(folder: Path) -> None:
    """Two services would overwrite each other's effective configuration."""
    async with preparing(folder):
        with pytest.raises(SettingsError, match="Another"):
            async with preparing(folder):
                pass

    async with preparing(folder) as again:
        assert again.plan.groups == {"small"}


async def test_a_broken_profile_is_refused_where_nothing_can_serve_instead(folder: Path) -> None:
    """Every problem is reported, with file and line."""
    path = folder / "profiles/balanced.yaml"
    path.write_text(path.read_text().replace("chat: small", "chat: smal"))

    with pytest.raises(ProfilesInvalid) as caught:
        async with preparing(folder):
            pass

    assert "balanced.yaml" in str(caught.value.problems[0])


async def test_missing_profiles_are_refused(folder: Path) -> None:
    """A wrong --profiles is found before LiteLLM is started."""
    shutil.rmtree(folder / "profiles")

    with pytest.raises(ProfilesInvalid):
        async with preparing(folder):
            pass


def test_litellm_gets_the_plugin_and_no_slow_switches(folder: Path) -> None:
    """The operator's hooks stay and run first; bytecode is cached; prices are not fetched."""
    environ = {"LITELLM_WORKER_STARTUP_HOOKS": "mine:go", "PYTHONDONTWRITEBYTECODE": "1", "OTHER": "x"}

    result = litellm_environ(environ, settings(folder), MasterKey("sk-x", None))

    hooks = result["LITELLM_WORKER_STARTUP_HOOKS"].split(",")
    assert hooks == [
        "mine:go",
        "neuronode_router.cli.serve.import_path:extend",
        "neuronode_router.plugin:start",
    ]
    assert "PYTHONDONTWRITEBYTECODE" not in result
    assert result["LITELLM_LOCAL_MODEL_COST_MAP"] == "True"
    assert result["LITELLM_LOG"] == "WARNING"
    assert result["LITELLM_MASTER_KEY"] == "sk-x"
    assert result["NEURONODE_CONFIG"] == str(folder / "litellm_config.yaml")
    assert result["OTHER"] == "x"


async def test_a_variable_that_is_set_to_nothing_is_unset(folder: Path) -> None:
    """LiteLLM does not start with an empty DATABASE_URL, nor a part of it with an empty number; our defaults hold."""
    empty = dict.fromkeys(("DATABASE_URL", "REDIS_PORT", "LITELLM_LOG", "PATH", DIRECTORY_VARIABLE), "")

    async with preparing(folder, **{**empty, "OTHER": " "}) as result:
        environ = result.environ

    assert environ.keys().isdisjoint({"DATABASE_URL", "REDIS_PORT", "PATH", DIRECTORY_VARIABLE})
    assert environ["LITELLM_LOG"] == "WARNING"
    assert environ["OTHER"] == " "


async def test_a_database_that_a_newer_release_migrated_is_refused(folder: Path) -> None:
    """LiteLLM would start without a profile in force, and every answer would be a 200."""
    url = migrated_by_a_newer_release(folder / "newer.db")

    with pytest.raises(SchemaTooNew, match="schema 9999"):
        async with preparing(folder, NEURONODE_STATE_URL=url):
            pass


async def test_a_revision_of_a_newer_release_is_refused(folder: Path) -> None:
    """As what it says is not known, nothing could be served of it."""
    url = with_a_revision_of_a_newer_release(folder / "newer.db")

    with pytest.raises(StateUnreadable, match="Revision 1"):
        async with preparing(folder, NEURONODE_STATE_URL=url):
            pass


async def test_a_database_that_is_away_stops_no_start_and_is_told(folder: Path) -> None:
    """The proxy takes its revision up as soon as it is there; with broken files nobody knows whether there is one."""
    away = f"postgresql://me:canary@127.0.0.1:{free_port()}/state"

    async with preparing(folder, NEURONODE_STATE_URL=away) as result:
        (warning,) = result.warnings
    (folder / "profiles/balanced.yaml").write_text("nonsense: true\n")
    with pytest.raises(StoreUnavailable):
        async with preparing(folder, NEURONODE_STATE_URL=away):
            pass

    assert "no profile is in force" in warning
    assert "canary" not in warning


async def test_several_workers_count_into_one_empty_directory(folder: Path) -> None:
    """Whichever worker Prometheus reaches then tells the sum, and nothing of the run before."""
    before = folder / ".neuronode/metrics/counter_1.db"
    before.parent.mkdir(parents=True)
    before.write_bytes(b"")

    async with preparing(folder, listen=Listen("127.0.0.1", free_port(), 2)) as result:
        directory = Path(result.environ[DIRECTORY_VARIABLE])

    assert directory == before.parent
    assert list(directory.iterdir()) == []


async def test_one_worker_counts_for_itself(folder: Path) -> None:
    """No files, unless the operator names a directory for them."""
    async with preparing(folder) as result:
        assert DIRECTORY_VARIABLE not in result.environ


async def test_a_metrics_directory_that_cannot_be_used_is_refused(folder: Path) -> None:
    """Workers that cannot count there would not start."""
    (folder / "file").write_text("")

    with pytest.raises(SettingsError, match="metrics directory"):
        async with preparing(folder, **{DIRECTORY_VARIABLE: str(folder / "file" / "metrics")}):
            pass


def test_the_plugin_is_not_started_twice(folder: Path) -> None:
    """An operator who set the hook for a plain LiteLLM may keep it."""
    environ = {"LITELLM_WORKER_STARTUP_HOOKS": "neuronode_router.plugin:start"}

    result = litellm_environ(environ, settings(folder), MasterKey("sk-x", None))

    assert result["LITELLM_WORKER_STARTUP_HOOKS"].count("neuronode_router.plugin:start") == 1


def test_the_embedded_model_is_reached_around_a_proxy(folder: Path) -> None:
    """Machines in companies have HTTP_PROXY set; where none is set nothing is added."""
    key = MasterKey("sk-x", None)

    proxied = litellm_environ({"HTTP_PROXY": "http://proxy", "NO_PROXY": "intra"}, settings(folder), key)
    direct = litellm_environ({}, settings(folder), key)

    assert proxied["no_proxy"] == proxied["NO_PROXY"] == "intra,127.0.0.1"
    assert "NO_PROXY" not in direct


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:4000"),
        ("0.0.0.0", "http://127.0.0.1:4000"),
        ("::", "http://[::1]:4000"),
        ("example.org", "http://example.org:4000"),
    ],
)
def test_the_address_shown_is_one_that_can_be_reached(host: str, url: str) -> None:
    """`0.0.0.0` is where to listen, not where to go."""
    assert Listen(host, 4000, 1).url == url


def free_port() -> int:
    """A port nobody uses right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_what_the_operator_sets_for_litellm_stays(folder: Path) -> None:
    """Who wants a line for each request says so in LiteLLM's own words."""
    result = litellm_environ({"LITELLM_LOG": "INFO"}, settings(folder), MasterKey("sk-x", None))

    assert result["LITELLM_LOG"] == "INFO"
