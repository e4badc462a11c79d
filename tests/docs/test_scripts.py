"""The scripts: valid for a plain POSIX shell, and clear about what they cannot use."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = [*sorted((ROOT / "scripts").iterdir()), ROOT / ".ci/run"]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_valid_and_runs_in_sh(script: Path) -> None:
    """No bashisms that fail to parse, and the executable bit is set."""
    assert script.read_text().startswith("#!/bin/sh\n")
    assert os.access(script, os.X_OK)
    assert subprocess.run(["/bin/sh", "-n", str(script)], check=False).returncode == 0


def test_an_unsuitable_python_is_refused_in_one_line(tmp_path: Path) -> None:
    """PYTHON names something that is no Python 3.11 or newer."""
    copy = tmp_path / "scripts/install"
    copy.parent.mkdir()
    copy.write_bytes((ROOT / "scripts/install").read_bytes())
    (tmp_path / "requirements").mkdir()
    for name in ("pyproject.toml", "requirements.lock", "requirements/any.lock"):
        (tmp_path / name).touch()

    done = subprocess.run(
        ["/bin/sh", str(copy)],
        env={"PATH": os.environ["PATH"], "PYTHON": "/bin/false"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "PYTHON=/bin/false" in done.stderr
    assert not (tmp_path / ".venv").exists()


UV = """\
#!/bin/sh
case "$1 $2" in
    venv*) mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
    "pip sync") echo sync >>calls && [ ! -e broken ] ;;
    *) echo "$@" | sed -n 's/.*-r //p' >>calls ;;
esac
"""
"""Notes the lock files that it is given; cannot synchronize while there is a file `broken`."""


def installer(place: Path) -> Callable[..., list[str]]:
    """A project whose uv is a stub: run its scripts/install, and get the lock files that were installed."""
    stubs = {
        "scripts/install": (ROOT / "scripts/install").read_text(),
        ".bootstrap/bin/uv": UV,
        "python": "#!/bin/sh\n",
        ".bootstrap/installed": "",
        "requirements/bootstrap.lock": "",
        "pyproject.toml": "",
        "requirements.lock": "",
    }
    for name, text in stubs.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def install(*options: str, **environ: str) -> list[str]:
        (place / "calls").write_text("")
        around = {"PATH": "/usr/bin:/bin", "PYTHON": str(place / "python"), **environ}
        subprocess.run(
            ["/bin/sh", "scripts/install", *options], cwd=place, env=around, capture_output=True, check=False
        )
        return [line.rpartition("/")[2] for line in (place / "calls").read_text().split()]

    return install


def test_what_trains_or_tests_stays_at_the_next_install(tmp_path: Path) -> None:
    """`scripts/serve` calls it without an option each time, and synchronizing takes out what is not locked."""
    install = installer(tmp_path)

    assert install() == ["sync", "embedded.lock"]
    assert install("--train") == ["sync", "train.lock", "embedded.lock"]
    assert install() == install("--train") == []

    (tmp_path / "requirements.lock").write_text("changed")
    assert install() == ["sync", "train.lock", "embedded.lock"]
    assert install("--dev") == ["sync", "dev.lock", "embedded.lock"]
    assert install("--train") == install() == []

    (tmp_path / "requirements.lock").write_text("changed again")
    assert install("--train") == ["sync", "dev.lock", "embedded.lock"]


@pytest.mark.parametrize(
    ("checkout", "options", "environ", "renders"),
    [
        (True, [], {}, "off"),
        (True, ["--port", "4001"], {"NEURONODE_RENDER": ""}, "off"),
        (True, [], {"NEURONODE_RENDER": "auto"}, "auto"),
        (True, ["--config=mine.yaml"], {}, ""),
        (True, [], {"NEURONODE_CONFIG": "mine.yaml"}, ""),
        (False, [], {}, ""),
    ],
)
def test_switches_leave_no_change_that_git_would_see(
    tmp_path: Path, *, checkout: bool, options: list[str], environ: dict[str, str], renders: str
) -> None:
    """In the configuration that it ships; one of the operator's own is rewritten, as is said."""
    stubs = {
        "scripts/serve": (ROOT / "scripts/serve").read_text(),
        "scripts/install": "#!/bin/sh\n",
        ".venv/bin/neuronode": '#!/bin/sh\nprintf "%s\\n" "$NEURONODE_RENDER" "$@"\n',
    }
    for name, text in stubs.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    if checkout:
        (tmp_path / ".git").mkdir()

    done = subprocess.run(
        ["/bin/sh", "scripts/serve", *options],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", **environ},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.splitlines() == [renders, "serve", *options]


def test_an_activated_environment_is_not_built_on(tmp_path: Path) -> None:
    """Its Python has no pip: the one behind it is asked."""
    install, asked = installer(tmp_path), tmp_path / "asked"
    for name, code in (("active", 1), ("behind", 0)):
        python = tmp_path / name / "bin/python3"
        python.parent.mkdir(parents=True)
        python.write_text(f"#!/bin/sh\necho {name} >>{asked}\nexit {code}\n")
        python.chmod(0o755)
    active, behind = tmp_path / "active", tmp_path / "behind"

    calls = install(PATH=f"{active}/bin:{behind}/bin:/usr/bin:/bin", VIRTUAL_ENV=str(active), PYTHON="")

    assert calls == ["sync", "embedded.lock"]
    assert set(asked.read_text().split()) == {"behind"}


def test_an_install_that_failed_forgets_nothing(tmp_path: Path) -> None:
    """The registry was away for a moment: the next one brings all that was wanted."""
    install = installer(tmp_path)
    (tmp_path / "broken").touch()

    assert install("--train") == ["sync"]
    assert install() == ["sync"]
    (tmp_path / "broken").unlink()
    assert install() == ["sync", "train.lock", "embedded.lock"]


PASSING = """\
#!/bin/sh
[ "$1" = -c ] || echo "== 3 passed in 1s =="
case "$0" in *1.1/*) [ "$1" = -c ] ;; esac
"""
"""Tests that pass, but with LiteLLM 1.1."""


def matrix(
    project: Path, *names: str, second: str = "exit 0", python: str = PASSING
) -> subprocess.CompletedProcess[str]:
    """Run scripts/matrix of a project whose environments are stubs: the one of LiteLLM 1.1 fails its tests."""
    stubs = {
        "scripts/matrix": (ROOT / "scripts/matrix").read_text(),
        "scripts/install": '#!/bin/sh\nmkdir -p "$3/bin"\ncp python "$3/bin/python"\n',
        "python": python,
        "bin/python3.13": f"#!/bin/sh\n{second}\n",
        "requirements/litellm-1.1.lock": "",
        "requirements/litellm-1.2.lock": "",
    }
    for name, text in stubs.items():
        path = project / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    return subprocess.run(
        ["/bin/sh", "scripts/matrix", *names],
        cwd=project,
        env={"PATH": f"{project}/bin:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_matrix_tells_of_every_environment_and_fails_with_any(tmp_path: Path) -> None:
    """One line each; the others are tried all the same."""
    done = matrix(tmp_path)

    assert done.stdout.splitlines() == [
        "scripts/matrix: litellm-1.1: FAILED: 3 passed in 1s",
        "scripts/matrix: litellm-1.2: ok: 3 passed in 1s",
        "scripts/matrix: python-3.13: ok: 3 passed in 1s",
    ]
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "scripts/matrix: failed: litellm-1.1"


def test_the_matrix_tries_what_there_is() -> None:
    """A file that was renamed would be tried on no LiteLLM any more."""
    (smoke,) = re.findall(r'^smoke="(.+)"$', (ROOT / "scripts/matrix").read_text(), flags=re.MULTILINE)

    assert [file for file in smoke.split() if not (ROOT / file).is_file()] == []


def test_an_environment_in_which_a_file_is_missing_fails(tmp_path: Path) -> None:
    """It is named to pytest all the same, which says so."""
    picky = '#!/bin/sh\n[ "$1" = -c ] && exit\nfor file; do [ "$file" != tests/e2e/test_usage.py ] || exit 4; done\n'

    assert matrix(tmp_path, "litellm-1.2", python=picky).returncode == 1


def test_the_matrix_runs_what_is_named_and_skips_a_python_that_is_not_there(tmp_path: Path) -> None:
    """A shim that runs nothing is no Python; a misspelt name is refused."""
    done = matrix(tmp_path, "litellm-1.2", "python-3.13", second="exit 127")

    assert done.returncode == 0
    assert [line.split(":")[1:3] for line in done.stdout.splitlines()] == [
        [" litellm-1.2", " ok"],
        [" python-3.13", " skipped"],
    ]
    assert matrix(tmp_path, "litellm-9").returncode == 2


@pytest.mark.parametrize("fails", [None, "mypy", "lint-imports", "tests"])
def test_what_is_checked_beside_the_tests_fails_the_check_too(tmp_path: Path, fails: str | None) -> None:
    """Whichever of them fails, all that was said is told, the tests' words first."""
    stubs = {".venv/bin/ruff": "", ".venv/bin/mypy": "mypy", ".venv/bin/lint-imports": "lint-imports"}
    stubs |= {"scripts/install": "", "scripts/test": "tests"}
    for name, word in stubs.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\necho {word}\nexit {int(word == fails)}\n")
        path.chmod(0o755)
    (tmp_path / "scripts/check").write_text((ROOT / "scripts/check").read_text())

    done = subprocess.run(
        ["/bin/sh", "scripts/check"], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert done.returncode == int(fails is not None)
    assert done.stdout.split() == ["tests", "mypy", *["lint-imports"] * (fails != "mypy")]


def test_the_campaign_has_more_examples_of_every_law() -> None:
    """A number of its own beats the profile: laws write theirs as a part of it, or a multiple."""
    files = [file for file in (ROOT / "tests").rglob("*.py") if file != ROOT / "tests/conftest.py"]
    fixed = [file.name for file in files if re.search(r"max_examples=\d", file.read_text())]

    assert "--hypothesis-profile campaign" in (ROOT / "scripts/campaign").read_text()
    assert fixed == []


def test_ci_runs_what_is_run_at_home() -> None:
    """One list of checks, and missing servers are failures there."""
    ci = (ROOT / ".ci/run").read_text()

    assert "CI=true" in ci
    assert "scripts/check" in ci
    assert "scripts/test" in (ROOT / "scripts/check").read_text()
