"""`neuronode init`: writes what it shows, once, with consent, and touches nothing that exists."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from neuronode_router.cli.compose import compose_files, litellm_services
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
    [service] = litellm_services(compose_files(place, {}))
    assert service.environ["LITELLM_WORKER_STARTUP_HOOKS"] == "mine:start,neuronode_router.plugin:start"
    assert "FROM litellm/litellm:v1.106.2" in override["services"]["proxy"]["build"]["dockerfile_inline"]
    assert override["services"]["proxy"]["build"]["args"]["NEURONODE_ROUTER"].startswith(
        "${NEURONODE_ROUTER:?"
    )
    assert "./profiles:/neuronode/profiles" in override["services"]["proxy"]["volumes"]


def dockerfile(place: Path, service: str = "proxy", file: str = "compose.override.yaml") -> str:
    """Return what a service is built by, as Docker reads it."""
    build = yaml.safe_load((place / file).read_text())["services"][service]["build"]
    return str(build["dockerfile_inline"]).replace("$$", "$")


def run(dockerfile: str, start: str, environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the step that begins so, as a shell would."""
    _, _, rest = dockerfile.partition(f"\nRUN {start}")
    step = re.split(r"\n(?=[A-Z]+ )", rest)[0]
    return subprocess.run(
        ["sh", "-c", start + step], env=environ, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("image", "user"), [("litellm/litellm:v1.106.2", "0:0"), ("x/litellm-non_root:v1.106.2", "65534:65534")]
)
def test_a_service_goes_on_running_as_its_image_says(
    place: Path, neuronode: Terminal, image: str, user: str
) -> None:
    """Root only builds; where the guess is wrong the build stops and says what is right. The state is his."""
    (place / "compose.yaml").write_text(yaml.safe_dump({"services": {"proxy": {"image": image}}}))

    assert neuronode("init", "-y").code == 0

    text, mine = dockerfile(place), f"{os.getuid()}:{os.getgid()}"
    build = yaml.safe_load((place / "compose.override.yaml").read_text())["services"]["proxy"]["build"]
    assert build["args"]["IMAGE_USER"] == user
    assert (
        text.index("USER root")
        < text.rindex("USER $IMAGE_USER")
        == len(text.rstrip()) - len("USER $IMAGE_USER")
    )
    assert "chown $IMAGE_USER /neuronode/state" in text
    assert run(text, "test", {**os.environ, "IMAGE_USER": mine}).returncode == 0
    refused = run(text, "test", {**os.environ, "IMAGE_USER": "7:7"})
    assert (refused.returncode, f"runs as {mine}: write that as IMAGE_USER" in refused.stderr) == (1, True)


def test_the_state_belongs_to_whom_the_service_says(place: Path, neuronode: Terminal) -> None:
    """His container would not be let write there else."""
    service = {"image": "litellm/litellm:v1.106.2", "user": "${MY_UID}:100"}
    (place / "compose.yaml").write_text(yaml.safe_dump({"services": {"proxy": service}}))

    assert neuronode("init", "-y").code == 0

    assert "chown ${MY_UID}:100 /neuronode/state" in dockerfile(place)


def test_the_build_keeps_the_litellm_of_the_image(place: Path, neuronode: Terminal, tmp_path: Path) -> None:
    """What is installed is held by a constraint, and a wheel that lies in the folder is found by its name."""
    assert neuronode("init", "-y").code == 0
    binaries, log = tmp_path / "bin", tmp_path / "log"
    (tmp_path / "tmp/neuronode").mkdir(parents=True)
    for name, text in (
        ("litellm", "#!/opt/python\n"),
        (
            "uv",
            f'#!/bin/sh\necho "$PWD $*" >> {log}\n'
            "case $2 in list) printf 'fastapi==0.120.0\\nlitellm==1.95.0\\nlitellm-proxy-extras==0.4.50\\n';; esac\n",
        ),
    ):
        (binaries / name).parent.mkdir(exist_ok=True)
        (binaries / name).write_text(text)
        (binaries / name).chmod(0o755)
    inside = re.sub(r"(?<![\w.])/(tmp|neuronode)/", rf"{tmp_path}/\1/", dockerfile(place))
    mine = f"{os.getuid()}:{os.getgid()}"
    environ = {
        "PATH": f"{binaries}:{os.environ['PATH']}",
        "NEURONODE_ROUTER": "neuronode_router-0.1.0-py3-none-any.whl",
        "IMAGE_USER": mine,
    }

    done = run(inside, "cd ", environ)

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "tmp/kept").read_text() == "litellm==1.95.0\nlitellm-proxy-extras==0.4.50\n"
    folder, *words = log.read_text().splitlines()[1].split()
    assert folder == f"{tmp_path}/tmp/neuronode"
    assert words[words.index("--python") + 1] == "/opt/python"
    assert words[words.index("--constraints") + 1] == f"{tmp_path}/tmp/kept"
    assert words[-1] == environ["NEURONODE_ROUTER"]
    assert (tmp_path / "neuronode/state").is_dir()
    assert "pip wheel" in (place / "neuronode-image/README.txt").read_text()


@pytest.mark.parametrize(
    ("image", "told"),
    [
        ("litellm/litellm:v1.95.0", "LiteLLM 1.95.0 is older"),
        ("x/litellm:main-v1.82.7-stable", "malicious"),
        ("litellm/litellm:v1.110.2", ""),
        ("x/litellm:main-latest", ""),
    ],
)
def test_an_image_that_cannot_have_the_plugin_is_told(
    place: Path, neuronode: Terminal, image: str, told: str
) -> None:
    """By its tag, before anything is built; also where nobody is asked."""
    (place / "compose.yaml").write_text(yaml.safe_dump({"services": {"proxy": {"image": image}}}))

    for arguments in (("--dry-run",), ("-y",)):
        outcome = neuronode("init", *arguments)
        said = outcome.out + outcome.err
        assert (told or "cannot run the plugin") in said or not told
        assert ("cannot run the plugin" in said) is bool(told)


@pytest.mark.parametrize(
    ("service", "override", "named"),
    [
        ({"build": "./litellm"}, None, "compose.yaml:neuronode.override.yml"),
        (
            {"image": "litellm/litellm:v1.106.2"},
            {"ports": ["4000:4000"]},
            "compose.yaml:compose.override.yml:neuronode.override.yml",
        ),
    ],
)
def test_what_compose_would_not_read_is_named_to_it(
    place: Path, neuronode: Terminal, service: object, override: object, named: str
) -> None:
    """An override of the operator's own is left alone, and his Dockerfile too: they get a file beside, and words."""
    (place / "compose.yaml").write_text(yaml.safe_dump({"services": {"litellm": service}}))
    if override:
        (place / "compose.override.yml").write_text(yaml.safe_dump({"services": {"litellm": override}}))

    outcome = neuronode("init", "-y")
    (place / ".env").write_text(f"COMPOSE_FILE={named}\n")

    assert outcome.code == 0
    assert f"echo COMPOSE_FILE={named} >> .env" in outcome.err
    text = (place / "neuronode.override.yml").read_text()
    assert ("COPY neuronode_router-*.whl /tmp/neuronode/" in text) is ("build" in service)
    assert ("dockerfile_inline" in text) is ("build" not in service)
    assert ("You build the image of litellm" in outcome.err) is ("build" in service)
    assert "plugin_missing" not in neuronode("doctor", "--no-reach").out
    again = neuronode("init", "-y")
    assert (again.out, "COMPOSE_FILE" in again.err) == ("", False)


def test_a_set_up_that_names_its_compose_files_gets_one_more(place: Path, neuronode: Terminal) -> None:
    """Compose reads no override by itself then."""
    (place / "main.yml").write_text("services: {proxy: {image: 'litellm/litellm:v1.106.2'}}")
    (place / ".env").write_text("COMPOSE_FILE=main.yml\n")

    outcome = neuronode("init", "-y")

    assert "echo COMPOSE_FILE=main.yml:neuronode.override.yml >> .env" in outcome.err
    assert not (place / "compose.override.yaml").exists()


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

    outcome = neuronode("init", "-y")

    assert outcome.code == 0
    assert "docker-compose.override.yml:neuronode.override.yml" in outcome.err

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
