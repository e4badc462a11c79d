"""The configuration LiteLLM is started with: includes merged, groups without a backend embedded, no secret resolved."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import yaml

from neuronode_router.cli.effective import (
    Config,
    Deployment,
    Plan,
    deployments_of,
    dump_config,
    effective_config,
    make_plan,
)
from neuronode_router.cli.serve.embedded import EmbeddedAddress
from neuronode_router.errors import SettingsError
from neuronode_router.profiles.configuration import read_config

ADDRESS = EmbeddedAddress(port=4567, key="local-key")


def entry(group: str, *, usable: bool, **more: object) -> dict[str, object]:
    """A deployment whose backend is there or not."""
    return {"model_name": group, "litellm_params": {"model": "openai/x", "usable": usable}, **more}


def missing(deployment: Deployment) -> str | None:
    """The test's notion of a backend."""
    return None if deployment["litellm_params"]["usable"] else "KEY is not set"


def derive(config: Config, *, custom_auth: bool = False) -> tuple[Plan, Config]:
    """Plan and effective configuration in one go."""
    plan = make_plan(deployments_of(config), missing)
    return plan, effective_config(config, plan, embedded=ADDRESS, custom_auth=custom_auth, port=4200)


def test_a_group_without_backend_gets_one_embedded_deployment() -> None:
    """What is known about the group stays; its price becomes zero and its identity is not reused."""
    info = {"id": "mine", "base_model": "gpt-4o", "neuronode_tier": "fast", "input_cost_per_token": 1}
    config = {"model_list": [entry("a", usable=False, model_info=info), entry("a", usable=False)]}

    plan, effective = derive(config)

    assert plan.embedded == {"a": "KEY is not set"}
    (deployment,) = effective["model_list"]
    assert deployment["model_name"] == "a"
    assert deployment["litellm_params"]["api_base"] == "http://127.0.0.1:4567/v1"
    assert deployment["litellm_params"]["model"].startswith("openai/")
    assert deployment["litellm_params"]["extra_headers"] == {"Connection": "close"}
    assert deployment["model_info"]["neuronode_embedded"] is True
    assert deployment["model_info"]["neuronode_tier"] == "fast"
    assert deployment["model_info"]["input_cost_per_token"] == 0
    assert deployment["model_info"]["output_cost_per_token"] == 0
    assert not {"id", "base_model"} & set(deployment["model_info"])


def test_a_group_with_a_usable_deployment_keeps_only_those() -> None:
    """A missing key must not make a third of the group's requests fail."""
    config = {"model_list": [entry("a", usable=False), entry("a", usable=True), entry("b", usable=True)]}

    plan, effective = derive(config)

    assert plan.embedded == {}
    assert plan.left_out == ("a: KEY is not set",)
    assert plan.groups == {"a", "b"}
    assert effective["model_list"] == config["model_list"][1:]


def test_what_is_not_for_text_is_left_as_it_is() -> None:
    """The tiny model makes no embeddings, so such a group fails as it would without us."""
    config = {"model_list": [entry("vectors", usable=False, model_info={"mode": "embedding"})]}

    plan, effective = derive(config)

    assert plan.embedded == {}
    assert effective["model_list"] == config["model_list"]


def test_the_operators_configuration_is_not_changed() -> None:
    """Everything that is not derived is passed on, and the original stays usable."""
    config = {
        "model_list": [entry("a", usable=False)],
        "router_settings": {"num_retries": 1},
        "general_settings": {"master_key": "sk-literal", "always_include_stream_usage": True},
        "litellm_settings": {"drop_params": True},
        "profile_settings": {"current_profile": "premium"},
    }
    before = copy.deepcopy(config)

    _, effective = derive(config, custom_auth=True)

    assert config == before
    assert effective["router_settings"] == {"num_retries": 1}
    assert effective["profile_settings"] == {"current_profile": "premium"}
    assert effective["general_settings"] == {
        "master_key": "os.environ/LITELLM_MASTER_KEY",
        "always_include_stream_usage": True,
        "custom_auth": "neuronode_router.plugin.authenticate",
        "custom_auth_run_common_checks": True,
    }
    assert effective["litellm_settings"] == {"drop_params": True, "enable_post_custom_auth_checks": True}


def test_no_secret_is_resolved_and_no_literal_master_key_is_copied() -> None:
    """References stay references; the master key goes through the environment."""
    config: Config = {
        "model_list": [
            {"model_name": "a", "litellm_params": {"api_key": "os.environ/PATH", "usable": True}},
        ],
        "general_settings": {"master_key": "sk-literal"},
    }

    text = dump_config(derive(config)[1])

    assert "os.environ/PATH" in text
    assert "sk-literal" not in text


def test_litellm_reads_back_what_is_written() -> None:
    """The file is read by a YAML 1.1 reader: `no`, `1e3`, `012` and the like must survive."""
    config: Config = {
        "model_list": [entry("no", usable=True), entry("012", usable=True), entry("1e3", usable=True)],
        "litellm_settings": {"note": "on", "text": "grüße: #x", "date": "2024-01-01"},
        "general_settings": {"master_key": "os.environ/LITELLM_MASTER_KEY"},
    }

    effective = derive(config)[1]

    assert yaml.safe_load(dump_config(effective)) == effective


def test_included_files_are_merged_as_litellm_does(tmp_path: Path) -> None:
    """Lists are joined, other values of the included file win, and nested files lie beside their own."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "main.yaml").write_text("include: [sub/one.yaml]\nmodel_list: [{model_name: a}]\nx: 1\n")
    (tmp_path / "sub/one.yaml").write_text("include: [two.yaml]\nmodel_list: [{model_name: b}]\nx: 2\n")
    (tmp_path / "sub/two.yaml").write_text("model_list: [{model_name: c}]\n")

    config = read_config(tmp_path / "main.yaml")

    assert [d["model_name"] for d in config["model_list"]] == ["a", "b", "c"]
    assert config["x"] == 2
    assert "include" not in config


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, "cannot be read"),
        ("a: [1\nb: 2\n", "litellm_config.yaml:2"),
        ("- a\n", "is a mapping"),
        ("include: [litellm_config.yaml]\n", "circle"),
        ("include: other.yaml\n", "list of files"),
        ("a: !!python/object/apply:os.system ['true']\n", "litellm_config.yaml:1"),
    ],
)
def test_an_unusable_configuration_is_refused_in_one_line(
    tmp_path: Path, text: str | None, expected: str
) -> None:
    """The message names the file, where possible the line, and what to do."""
    path = tmp_path / "litellm_config.yaml"
    if text is not None:
        path.write_text(text)

    with pytest.raises(SettingsError) as caught:
        read_config(path)

    assert expected in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("model_list", [None, [], "x", [{"litellm_params": {}}], ["x"]])
def test_a_configuration_without_deployments_is_refused(model_list: object) -> None:
    """LiteLLM would start and answer nothing."""
    with pytest.raises(SettingsError, match="model_"):
        deployments_of({"model_list": model_list})


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:4000/admin/ui", "http://127.0.0.1:4200/admin/ui"),
        ("http://localhost/admin/ui?a=b", "http://localhost:4200/admin/ui?a=b"),
        ("http://[::1]:4000/admin/ui", "http://[::1]:4200/admin/ui"),
        ("https://llm.example.org/admin/ui", "https://llm.example.org/admin/ui"),
    ],
)
def test_the_page_is_listed_where_the_proxy_listens(url: str, expected: str) -> None:
    """An address on this machine follows `--port`; one that browsers elsewhere use, and other plugins, stay."""
    plugins = [{"name": "neuronode-profiles", "url": url}, {"name": "other", "url": "http://127.0.0.1:1"}]

    _, effective = derive({"model_list": [entry("a", usable=True)], "general_settings": {"plugins": plugins}})

    found = effective["general_settings"]["plugins"]
    assert [plugin["url"] for plugin in found] == [expected, "http://127.0.0.1:1"]
    assert plugins[0]["url"] == url
