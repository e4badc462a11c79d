"""Each known trap in a configuration or in how it is launched: found where it is, and not found where it is not."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.cli.compose import Launch
from neuronode_router.cli.doctor import configuration, deployments
from neuronode_router.cli.doctor.command import examine, read_subject
from neuronode_router.cli.doctor.finding import Subject
from neuronode_router.domain.names import TASK_ALIASES
from neuronode_router.settings import Settings
from tests.support.place import PROFILES, TIERS
from tests.unit.cli.conftest import Terminal

ROOT = Path(__file__).parents[4]
KEY = "sk-a-long-random-value-of-a-test"
SOUND: dict[str, Any] = {
    "model_list": [
        {
            "model_name": "house",
            "litellm_params": {
                "model": "ollama_chat/llama3.1:8b",
                "api_base": "http://127.0.0.1:9",
                "num_ctx": 8192,
            },
            "model_info": {"disable_background_health_check": True},
        },
        {"model_name": "cloud", "litellm_params": {"model": "openai/some", "api_key": "os.environ/SOME_KEY"}},
    ],
    "general_settings": {
        "master_key": "os.environ/LITELLM_MASTER_KEY",
        "always_include_stream_usage": True,
        "health_check_skip_disabled_background_models": True,
    },
    "router_settings": {"num_retries": 0, "model_group_alias": {"mine": "cloud"}},
}
"""A configuration without a trap."""
ENVIRON = {"LITELLM_MASTER_KEY": KEY, "SOME_KEY": "sk-some"}


@pytest.fixture
def sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Subject:
    """A set-up without a trap, on a Python without one."""
    monkeypatch.setattr("platform.python_version", lambda: "3.12.4")
    (tmp_path / "profiles").mkdir()
    for name in PROFILES:
        (tmp_path / "profiles" / f"{name}.yaml").write_text(profile_of_one_group())
    settings = Settings.load(ENVIRON, config=tmp_path / "litellm_config.yaml")
    return Subject(copy.deepcopy(SOUND), settings, ENVIRON)


def profile_of_one_group() -> str:
    """A profile that needs no more than the sound configuration has."""
    return json.dumps(
        {
            "description": "All to one group.",
            "cost_level": "low",
            "performance_level": "good",
            "tasks": dict.fromkeys(TASK_ALIASES, "cloud"),
            "tiers": {tier: ["cloud"] for tier in TIERS},
        }
    )


def found(subject: Subject) -> set[str]:
    """The codes of everything that is found on paper."""
    return {finding.code for finding in examine(subject, reach=False)}


def test_a_sound_set_up_has_no_finding(sound: Subject) -> None:
    """Otherwise people stop reading."""
    assert found(sound) == set()


def house(**params: object) -> Callable[[dict[str, Any]], None]:
    """Change the parameters of the Ollama deployment; None removes one."""

    def change(config: dict[str, Any]) -> None:
        entry = config["model_list"][0]["litellm_params"]
        entry.update(params)
        for name in [name for name, value in entry.items() if value is None]:
            del entry[name]

    return change


def section(name: str, **values: object) -> Callable[[dict[str, Any]], None]:
    """Change a section of the configuration."""
    return lambda config: config.setdefault(name, {}).update(values)


def renamed(group: str) -> Callable[[dict[str, Any]], None]:
    """Give the first deployment another group."""
    return lambda config: config["model_list"][0].update(model_name=group)


def unmarked(config: dict[str, Any]) -> None:
    """Take away what keeps health checks from the Ollama."""
    del config["model_list"][0]["model_info"]


def checked_in_background(config: dict[str, Any]) -> None:
    """Ask it all the time."""
    unmarked(config)
    config["general_settings"]["background_health_checks"] = True


TRAPS: list[tuple[str, Callable[[dict[str, Any]], None]]] = [
    ("ollama_prefix", house(model="ollama/llama3.1:8b")),
    ("ollama_without_address", house(api_base=None)),
    ("ollama_context", house(num_ctx=None)),
    ("health_checks_load", unmarked),
    ("health_checks_load", checked_in_background),
    ("health_checks_load", section("general_settings", health_check_skip_disabled_background_models=False)),
    ("retries_of_one", section("router_settings", num_retries=2)),
    ("retries_of_one", lambda config: config["router_settings"].pop("num_retries")),
    ("group_named_like_task", renamed("summary")),
    ("group_named_like_task", renamed("auto")),
    ("group_breaks_headers", renamed("模型")),
    ("group_breaks_headers", renamed("a\nb")),
    ("name_collision", renamed("chat")),
    ("unknown_group", lambda config: config["model_list"].pop(1)),
    ("key_in_configuration", section("general_settings", master_key=KEY)),
    ("weak_master_key", section("general_settings", master_key="sk-1234")),
    ("key_in_configuration", section("environment_variables", LITELLM_MASTER_KEY=KEY)),
    ("weak_master_key", section("environment_variables", LITELLM_MASTER_KEY="short")),
    ("no_master_key", section("general_settings", master_key="os.environ/PROXY_KEY")),
    ("weak_key_permitted", section("general_settings", dangerously_permit_weak_or_unset_master_key=True)),
    ("database_outage", section("general_settings", database_url="os.environ/DATABASE_URL")),
    ("database_outage", section("environment_variables", DATABASE_URL="postgresql://db/x")),
    ("alias_hides_group", section("router_settings", model_group_alias={"house": "cloud"})),
    ("alias_chain", section("router_settings", model_group_alias={"a": "b", "b": "cloud"})),
    ("alias_chain", section("router_settings", model_group_alias={"a": {"model": "b"}, "b": "cloud"})),
    ("alias_to_nothing", section("router_settings", model_group_alias={"a": "gone"})),
    ("aliases_owned_by_file", section("general_settings", store_model_in_db=True)),
    ("pre_call_checks", section("router_settings", enable_pre_call_checks=True)),
    ("fallback_access", section("general_settings", enforce_fallback_model_access=True)),
    ("stream_usage", section("general_settings", always_include_stream_usage=None)),
    (
        "model_budget_of_task",
        section("litellm_settings", default_key_generate_params={"model_max_budget": {"chat": {}}}),
    ),
    ("key_limits_off", section("general_settings", custom_auth="neuronode_router.plugin.authenticate")),
    (
        "team_rules_open",
        section("general_settings", team_admin_editable_team_fields=["tpm_limit", "metadata"]),
    ),
]


@pytest.mark.parametrize(("code", "change"), TRAPS)
def test_a_trap_in_the_configuration_is_found(
    code: str, change: Callable[[dict[str, Any]], None], sound: Subject
) -> None:
    """With a way out that says something."""
    config = copy.deepcopy(SOUND)
    change(config)

    findings = [f for f in examine(replace(sound, config=config), reach=False) if f.code == code]

    assert findings
    assert all(finding.where and finding.message.endswith(".") and finding.fix for finding in findings)


LAUNCHES: list[tuple[str, Mapping[str, str], tuple[str, ...]]] = [
    ("no_bytecode", {"PYTHONDONTWRITEBYTECODE": "1"}, ()),
    ("empty_address", {"DATABASE_URL": ""}, ()),
    ("empty_address", {"DIRECT_URL": ""}, ()),
    ("workers_killed", {"NUM_WORKERS": "4"}, ()),
    ("workers_killed", {}, ("--num_workers", "2")),
    ("workers_killed", {}, ("--num_workers=2",)),
    ("workers_apart", {"NUM_WORKERS": "4", "TIMEOUT_WORKER_HEALTHCHECK": "120"}, ()),
    ("admin_prefix_taken", {"LITELLM_ENABLE_ADMIN_MCP": "true"}, ()),
    ("plugin_missing", {}, ()),
    ("prices_fetched", {}, ()),
]


@pytest.mark.parametrize(("code", "environ", "command"), LAUNCHES)
def test_a_trap_in_how_it_is_launched_is_found(
    code: str, environ: Mapping[str, str], command: tuple[str, ...], sound: Subject
) -> None:
    """In a service of the compose file; the finding names the service."""
    subject = replace(sound, services=(Launch("service proxy", environ, command),))

    findings = [finding for finding in examine(subject, reach=False) if finding.code == code]

    assert [finding.where.split(":")[0] for finding in findings] == ["service proxy"]


ENV_FILE = """
LITELLM_WORKER_STARTUP_HOOKS=mine:go,neuronode_router.plugin:start
LITELLM_LOCAL_MODEL_COST_MAP=True
NEURONODE_REDIS_URL=redis://redis:6379/0
TIMEOUT_WORKER_HEALTHCHECK=120
"""
HAS_KEY = f"LITELLM_MASTER_KEY={KEY}\n"


@pytest.mark.parametrize(
    ("lines", "codes"),
    [
        (HAS_KEY + ENV_FILE, set()),
        (f"{HAS_KEY}{ENV_FILE}PYTHONDONTWRITEBYTECODE=1", {"no_bytecode"}),
        (f"{HAS_KEY}{ENV_FILE}LITELLM_ENABLE_ADMIN_MCP=true", {"admin_prefix_taken"}),
        (f"{HAS_KEY}{ENV_FILE}DATABASE_URL=", {"empty_address"}),
        (ENV_FILE, {"no_master_key"}),
        (HAS_KEY, {"plugin_missing", "prices_fetched", "workers_apart", "workers_killed"}),
    ],
)
def test_an_env_file_is_a_part_of_how_a_service_is_launched(
    lines: str, codes: set[str], sound: Subject
) -> None:
    """What stands there is there, and what is wrong there is found."""
    directory = sound.settings.config.parent
    sound.settings.config.write_text(json.dumps(SOUND))
    (directory / "proxy.env").write_text(lines)
    (directory / "compose.yaml").write_text(
        "services: {proxy: {image: litellm, env_file: [proxy.env], command: [--num_workers, '4']}}"
    )

    assert found(read_subject(sound.settings, ENVIRON)) == codes


SERVICE: dict[str, Any] = {
    "image": "litellm:v1",
    "environment": {
        "LITELLM_WORKER_STARTUP_HOOKS": "neuronode_router.plugin:start",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    },
}


@pytest.mark.parametrize(
    ("environment", "dotenv", "environ", "codes"),
    [
        ({"LITELLM_MASTER_KEY": KEY}, "", {}, set()),
        ({"LITELLM_MASTER_KEY": "sk-1234"}, "", {}, {"weak_master_key"}),
        ({"LITELLM_MASTER_KEY": "sk-1234"}, "", {"LITELLM_MASTER_KEY": KEY}, {"weak_master_key"}),
        ({"LITELLM_MASTER_KEY": None}, "", {"LITELLM_MASTER_KEY": KEY}, set()),
        ({"LITELLM_MASTER_KEY": "${LITELLM_MASTER_KEY:?set it}"}, f"LITELLM_MASTER_KEY={KEY}", {}, set()),
        (
            {"LITELLM_MASTER_KEY": "${LITELLM_MASTER_KEY:?}"},
            "",
            {"LITELLM_MASTER_KEY": "sk-1234"},
            {"weak_master_key"},
        ),
        ({"LITELLM_MASTER_KEY": "${LITELLM_MASTER_KEY:?}"}, "", {}, {"no_master_key"}),
        ({"LITELLM_MASTER_KEY": "${OTHER:-}"}, "", {}, {"no_master_key"}),
        ({}, f"LITELLM_MASTER_KEY={KEY}", {"LITELLM_MASTER_KEY": KEY}, {"no_master_key"}),
        ({"LITELLM_MASTER_KEY": KEY, "STORE_MODEL_IN_DB": "True"}, "", {}, {"aliases_owned_by_file"}),
    ],
)
def test_keys_are_those_of_the_services_where_these_run_litellm(
    environment: dict[str, str | None], dotenv: str, environ: dict[str, str], codes: set[str], sound: Subject
) -> None:
    """As compose fills them; the shell in which the doctor runs has none. One that compose refuses is not open."""
    directory = sound.settings.config.parent
    sound.settings.config.write_text(json.dumps(SOUND))
    (directory / ".env").write_text(dotenv)
    service = {**SERVICE, "environment": {**SERVICE["environment"], **environment}}
    (directory / "compose.yaml").write_text(json.dumps({"services": {"proxy": service}}))

    findings = list(examine(read_subject(sound.settings, environ), reach=False))

    assert {finding.code for finding in findings} == codes
    assert all(KEY not in finding.message + finding.fix for finding in findings)


def test_a_key_that_serve_keeps_is_none_of_a_service(sound: Subject) -> None:
    """`neuronode serve` made it up for itself; the container never sees it."""
    sound.settings.state_dir.mkdir()
    (sound.settings.state_dir / "master_key").write_text("sk-made-up")
    subject = replace(sound, environ={}, services=(Launch("service proxy", SERVICE["environment"]),))

    [finding] = examine(subject, reach=False)

    assert (finding.code, finding.where) == ("no_master_key", "service proxy: general_settings.master_key")


@pytest.mark.parametrize(("image", "level"), [("litellm:v1", "problem"), (None, "advice")])
def test_an_empty_address_stops_any_litellm_but_ours(image: str | None, level: str, sound: Subject) -> None:
    """What is built may be our image, which leaves empty variables out, as `neuronode serve` does."""
    launch = Launch("service proxy", {"DATABASE_URL": ""}, image=image)

    findings = examine(replace(sound, services=(launch,)), reach=False)

    assert [finding.level for finding in findings if finding.code == "empty_address"] == [level]


@pytest.mark.parametrize(
    "command",
    [
        ("--num_workers", "2", "--timeout_worker_healthcheck", "120"),
        ("--num_workers", "2", "--run_gunicorn"),
        ("--num_workers", "1"),
        ("--num_workers", "$WORKERS"),
    ],
)
def test_workers_that_have_time_are_left_alone(command: tuple[str, ...], sound: Subject) -> None:
    """Other servers do not kill, and one worker is not watched."""
    subject = replace(sound, services=(Launch("service proxy", ENVIRON, command),))

    assert "workers_killed" not in found(subject)


def test_an_old_python_is_found(sound: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    """3.11.7 crashed in load tests."""
    monkeypatch.setattr("platform.python_version", lambda: "3.11.7")

    assert found(sound) == {"old_python"}


@pytest.mark.parametrize(
    ("version", "code"),
    [
        ("1.82.7", "compromised_litellm"),
        ("1.107.1", "compromised_litellm"),
        ("1.50.0", "unsupported_litellm"),
    ],
)
def test_a_release_that_must_not_run_is_found(
    version: str, code: str, sound: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Malicious ones first of all."""
    monkeypatch.setattr("neuronode_router.cli.doctor.launching.installed_version", lambda: version)

    assert found(sound) == {code}


@pytest.mark.parametrize(
    ("environ", "code"),
    [
        ({"LITELLM_MASTER_KEY": ""}, "no_master_key"),
        ({"LITELLM_MASTER_KEY": "sk-1234"}, "weak_master_key"),
        ({"LITELLM_MASTER_KEY": "short"}, "weak_master_key"),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "hosts_apart"),
        ({"NEURONODE_STATE_URL": "postgresql://db/x"}, "no_wake_up"),
    ],
)
def test_a_trap_in_the_environment_is_found(environ: Mapping[str, str], code: str, sound: Subject) -> None:
    """And no value of it is repeated."""
    changed = {**ENVIRON, **environ}
    settings = Settings.load(changed, config=sound.settings.config)

    findings = list(examine(replace(sound, environ=changed, settings=settings), reach=False))

    assert [finding.code for finding in findings] == [code]
    assert all("sk-1234" not in finding.message + finding.fix for finding in findings)


KEYS_ELSEWHERE: list[dict[str, Any]] = [
    {"environment_variables": {"PROXY_KEY": "os.environ/MINE"}},
    {"general_settings": {"key_management_system": "hashicorp_vault"}},
]


@pytest.mark.parametrize("sections", KEYS_ELSEWHERE)
def test_a_key_that_litellm_finds_elsewhere_is_a_key(sections: dict[str, Any], sound: Subject) -> None:
    """In a section of its own, or in a secret manager."""
    general = {
        **SOUND["general_settings"],
        "master_key": "os.environ/PROXY_KEY",
        **sections.get("general_settings", {}),
    }

    subject = replace(
        sound,
        config={**SOUND, **sections, "general_settings": general},
        environ={"MINE": KEY, "SOME_KEY": "x"},
    )

    assert found(subject) == set()


def test_a_reference_to_nothing_is_found_beside_a_key_that_serve_keeps(sound: Subject) -> None:
    """`serve` refuses it, and LiteLLM alone would be open."""
    sound.settings.state_dir.mkdir()
    (sound.settings.state_dir / "master_key").write_text("sk-made-up")
    general = {**SOUND["general_settings"], "master_key": "os.environ/PROXY_KEY"}

    assert found(replace(sound, config={**SOUND, "general_settings": general})) == {"no_master_key"}


def test_a_key_that_serve_keeps_is_a_key(sound: Subject) -> None:
    """`neuronode serve` made one up: nothing is missing."""
    sound.settings.state_dir.mkdir()
    (sound.settings.state_dir / "master_key").write_text("sk-made-up")

    assert found(replace(sound, environ={"SOME_KEY": "x"})) == set()


@pytest.mark.parametrize(("decided", "codes"), [(None, {"database_outage"}), (True, set()), (False, set())])
def test_what_happens_without_the_database_is_to_be_decided(
    decided: bool | None, codes: set[str], sound: Subject
) -> None:
    """Both answers cost something; who has given one is not asked again, nor who has no database."""
    general = {**SOUND["general_settings"], "allow_requests_on_db_unavailable": decided}
    with_it = {**ENVIRON, "DATABASE_URL": "postgresql://db/x"}
    subject = replace(sound, config={**SOUND, "general_settings": general})

    assert found(subject) == set()
    assert found(replace(subject, environ=with_it)) == codes
    assert (
        found(replace(subject, services=(Launch("service proxy", {**SERVICE["environment"], **with_it}),)))
        == codes
    )


def test_rendering_beside_a_database_is_found(sound: Subject) -> None:
    """Somebody who insists gets older maps back."""
    environ = {**ENVIRON, "NEURONODE_RENDER": "on", "STORE_MODEL_IN_DB": "True"}
    settings = Settings.load(environ, config=sound.settings.config)

    assert found(replace(sound, environ=environ, settings=settings)) == {
        "rendering_with_database",
        "aliases_owned_by_file",
    }


def test_our_own_configuration_has_no_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is shipped is an example; advice about this machine aside."""
    monkeypatch.setattr("platform.python_version", lambda: "3.12.4")
    environ = {"LITELLM_MASTER_KEY": KEY}
    subject = read_subject(Settings.load(environ, config=ROOT / "litellm_config.yaml"), environ)

    assert list(examine(subject, reach=False)) == []


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just("ollama/x"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
SECTIONS = ("model_list", "general_settings", "router_settings", "litellm_settings", "environment_variables")
PARTS = st.dictionaries(
    st.sampled_from(
        [
            "model_name",
            "litellm_params",
            "model_info",
            "model",
            "api_base",
            "num_retries",
            "model_group_alias",
            "mode",
        ]
    ),
    VALUES,
)


@given(st.fixed_dictionaries({}, optional={name: VALUES | PARTS | st.lists(PARTS) for name in SECTIONS}))
def test_no_configuration_makes_it_stumble(config: dict[str, Any]) -> None:
    """LiteLLM would refuse most of these; the doctor is asked exactly then."""
    settings = Settings.load(ENVIRON, config=ROOT / "litellm_config.yaml")
    subject = Subject(config, settings, ENVIRON)

    for check in (*deployments.CHECKS, *(c for c in configuration.CHECKS if c is not configuration.profiles)):
        list(check(subject))


def test_advice_alone_is_exit_code_0(
    neuronode: Terminal, sound: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a problem fails a script; JSON has the same findings."""
    config = {
        **SOUND,
        "general_settings": {**SOUND["general_settings"], "always_include_stream_usage": False},
    }
    sound.settings.config.write_text(json.dumps(config))
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)

    outcome = neuronode("doctor", "--no-reach", "--json")

    document = json.loads(outcome.out)
    assert (outcome.code, document["problems"]) == (0, 0)
    assert [finding["code"] for finding in document["findings"]] == ["stream_usage"]


def test_a_configuration_that_is_not_there_is_wrong_usage(neuronode: Terminal) -> None:
    """Exit code 2 and the flag that names another."""
    outcome = neuronode("doctor")

    assert outcome.code == 2
    assert "--config" in outcome.err
