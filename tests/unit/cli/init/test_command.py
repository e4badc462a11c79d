"""`neuronode init`: writes what it shows, once, with consent, and touches nothing that exists."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from neuronode_router.cli.compose import litellm_services
from neuronode_router.domain.names import TASK_ALIASES
from neuronode_router.domain.profiles import HostFacts
from neuronode_router.profiles.files import ProfileFiles
from neuronode_router.settings import Settings
from tests.unit.cli.conftest import Terminal

TESTDATA = Path(__file__).parents[3] / "testdata/init"
GROUPS = frozenset({"everyday", "quick", "thinker", "house"})


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with somebody's set-up."""
    for file in TESTDATA.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def contents(place: Path) -> Mapping[str, bytes]:
    """Every file by its path."""
    return {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}


def test_what_is_written_works(place: Path, neuronode: Terminal) -> None:
    """The profiles are valid on the configuration, and nothing that was there is another."""
    before = contents(place)

    outcome = neuronode("init", "-y")

    assert outcome.code == 0
    assert ProfileFiles(place / "profiles").check(HostFacts(groups=GROUPS)) == ()
    assert before.items() <= contents(place).items()
    assert sorted(outcome.out.split()) == sorted(
        str(place / name) for name in contents(place).keys() - before
    )


def test_the_override_loads_the_plugin_into_the_service(place: Path, neuronode: Terminal) -> None:
    """Beside the hooks the service has already, on top of its own image."""
    assert neuronode("init", "-y").code == 0

    override = yaml.safe_load((place / "compose.override.yaml").read_text())
    [service] = litellm_services(place / "compose.yaml")
    assert service.environ["LITELLM_WORKER_STARTUP_HOOKS"] == "mine:start,neuronode_router.plugin:start"
    assert "FROM litellm/litellm:v1.106.2" in override["services"]["proxy"]["build"]["dockerfile_inline"]
    assert override["services"]["proxy"]["build"]["args"]["NEURONODE_ROUTER"].startswith(
        "${NEURONODE_ROUTER:?"
    )
    assert "./profiles:/neuronode/profiles" in override["services"]["proxy"]["volumes"]


def test_whatever_the_proxy_writes_lies_in_a_volume(place: Path, neuronode: Terminal) -> None:
    """Another container would not find it again."""
    assert neuronode("init", "-y").code == 0

    service = yaml.safe_load((place / "compose.override.yaml").read_text())["services"]["proxy"]
    settings = Settings.load(service["environment"])
    mounted = {Path(volume.split(":")[1]) for volume in service["volumes"]}
    assert {settings.profiles, settings.state_dir, settings.policy.parent} == mounted


def test_hooks_of_an_env_file_stay(place: Path, neuronode: Terminal) -> None:
    """The override's environment goes before the service's files, so it says theirs too."""
    service = {"image": "litellm/litellm:v1", "env_file": "proxy.env"}
    (place / "compose.yaml").write_text(yaml.safe_dump({"services": {"proxy": service}}))
    (place / "proxy.env").write_text("LITELLM_WORKER_STARTUP_HOOKS=theirs:start\nSECRET=canary\n")

    assert neuronode("init", "-y").code == 0

    text = (place / "compose.override.yaml").read_text()
    hooks = yaml.safe_load(text)["services"]["proxy"]["environment"]["LITELLM_WORKER_STARTUP_HOOKS"]
    assert hooks == "theirs:start,neuronode_router.plugin:start"
    assert "canary" not in text


def test_the_doctor_misses_the_plugin_no_longer(place: Path, neuronode: Terminal) -> None:
    """It reads the override as compose does."""
    missing = "plugin_missing"
    assert missing in neuronode("doctor", "--no-reach").out

    assert neuronode("init", "-y").code == 0

    assert missing not in neuronode("doctor", "--no-reach").out


@pytest.mark.parametrize(
    ("arguments", "typed", "code"),
    [(("--dry-run",), None, 0), (("--dry-run", "-y"), None, 0), ((), None, 2), ((), "n\n", 1), ((), "", 1)],
)
def test_nothing_is_written_without_consent(
    arguments: tuple[str, ...], typed: str | None, code: int, place: Path, neuronode: Terminal
) -> None:
    """A dry run, no terminal, no, and silence."""
    before = contents(place)

    outcome = neuronode("init", *arguments, typed=typed)

    assert outcome.code == code
    assert contents(place) == before


def test_who_says_yes_gets_the_files(place: Path, neuronode: Terminal) -> None:
    """The proposal is shown with the question."""
    outcome = neuronode("init", typed="y\n")

    assert outcome.code == 0
    assert "ultra_fast" in outcome.err
    assert (place / "profiles/ultra_fast.yaml").is_file()


def test_what_exists_is_left_as_it_is(place: Path, neuronode: Terminal) -> None:
    """A profile of one's own, a link that leads nowhere, an override of one's own."""
    (place / "profiles").mkdir()
    (place / "profiles/premium.yaml").write_text("mine")
    (place / "profiles/balanced.yaml").symlink_to("nowhere")
    (place / "docker-compose.override.yml").write_text("services: {}")

    assert neuronode("init", "-y").code == 0

    assert (place / "profiles/premium.yaml").read_text() == "mine"
    assert (place / "profiles/balanced.yaml").is_symlink()
    assert (place / "docker-compose.override.yml").read_text() == "services: {}"
    assert not (place / "compose.override.yaml").exists()
    assert not (place / "nowhere").exists()
    assert (place / "profiles/ultra_fast.yaml").is_file()


def test_a_second_time_there_is_nothing_to_do(place: Path, neuronode: Terminal) -> None:
    """Nobody is asked."""
    assert neuronode("init", "-y").code == 0
    before = contents(place)

    assert neuronode("init", typed="").code == 0

    assert contents(place) == before


def test_json_has_the_texts(place: Path, neuronode: Terminal) -> None:
    """For a program that writes them elsewhere."""
    document = json.loads(neuronode("init", "--dry-run", "--json").out)

    texts = {Path(file["path"]).name: file["text"] for file in document["files"]}
    assert yaml.safe_load(texts["premium.yaml"])["tasks"]["chat"] == "thinker"
    assert "neuronode_router.plugin:start" in texts["neuronode.env"]


@pytest.mark.parametrize("name", ["chat", "task_chat"])
def test_a_group_of_a_task_s_name_goes_on_answering(tmp_path: Path, neuronode: Terminal, name: str) -> None:
    """No profile has the task, which would hide the group: whoever asks for it gets what they got before."""
    (tmp_path / "litellm_config.yaml").write_text(
        f"model_list:\n  - {{model_name: {name}, litellm_params: {{model: openai/x}}}}\n"
    )

    outcome = neuronode("init", "-y")

    assert outcome.code == 0
    for file in (tmp_path / "profiles").iterdir():
        assert set(yaml.safe_load(file.read_text())["tasks"]) == set(TASK_ALIASES) - {"chat"}
    assert ProfileFiles(tmp_path / "profiles").check(HostFacts(groups=frozenset({name}))) == ()
    assert "Left out: chat" in neuronode("init", "--dry-run").out


@pytest.mark.parametrize(
    ("alias", "group", "told"),
    [
        ("quick", "quick", "Kept: summary leads to quick"),
        ("{model: quick, hidden: true}", "quick", "Kept: summary leads to quick"),
        ("vectors", None, "Changed: summary leads to vectors"),
        ("nowhere", None, "Changed: summary leads to nowhere"),
    ],
)
def test_an_alias_that_is_named_like_a_task_is_not_taken_over_in_silence(
    place: Path, neuronode: Terminal, alias: str, group: str | None, told: str
) -> None:
    """Its clients get the same group until somebody decides otherwise; where that cannot be, it is said."""
    config = place / "litellm_config.yaml"
    config.write_text(config.read_text() + f"router_settings: {{model_group_alias: {{summary: {alias}}}}}\n")

    outcome = neuronode("init", "--dry-run")
    documents = json.loads(neuronode("init", "--dry-run", "--json").out)["profiles"]

    assert told in " ".join(outcome.out.split())
    if group:
        assert {document["tasks"]["summary"] for document in documents.values()} == {group}


@pytest.mark.parametrize(
    "text",
    [
        "model_list: []",
        "model_list:\n  - {model_name: e, litellm_params: {model: openai/text-embedding}}",
        "[",
    ],
)
def test_a_configuration_without_a_group_for_text_is_wrong_usage(
    text: str, tmp_path: Path, neuronode: Terminal
) -> None:
    """Exit code 2 and one line."""
    (tmp_path / "litellm_config.yaml").write_text(text)

    outcome = neuronode("init", "-y")

    assert (outcome.code, outcome.err.count("\n")) == (2, 1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[",
        "services: 3",
        "services: {a: 3, b: {image: [], command: {}}}",
        'services: {a: {image: litellm, environment: 7, command: "\'"}}',
    ],
)
def test_a_strange_compose_file_is_passed_over(text: str, place: Path, neuronode: Terminal) -> None:
    """The profiles do not need it."""
    (place / "compose.yaml").write_text(text)

    assert neuronode("init", "-y").code == 0
    assert neuronode("doctor", "--no-reach").code == 1


@pytest.mark.parametrize(("engine", "said"), [(None, False), ("podman", True)])
def test_compose_is_proposed_where_something_can_run_it(
    place: Path, neuronode: Terminal, monkeypatch: pytest.MonkeyPatch, engine: str | None, said: bool
) -> None:
    """By the engine of this machine; LiteLLM alone is always a way."""
    monkeypatch.setattr("shutil.which", lambda name: name if name == engine else None)

    told = neuronode("init", "--yes").err

    assert ("podman compose up" in told) is said
    assert "docker compose" not in told
    assert "litellm --config" in told
