"""The wheel, the sdist and an editable install, each in an environment of its own away from the checkout.

Such an environment uses the libraries (torch and the rest) of the one that runs the tests, through a ``.pth`` file, so
that nothing is downloaded. ``pip check`` tests that the package's requirements are met by these.
"""

import email
import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pytest

from shakegpt.runs.store import Store
from shakegpt.version import __version__

ROOT = Path(__file__).parent.parent
COMMAND_SECONDS = 100
KINDS = ["wheel", "sdist", "editable"]

pytestmark = pytest.mark.skipif(not (ROOT / "pyproject.toml").is_file(), reason="there is no checkout to build from")


@dataclass(frozen=True)
class Built:
    """What ``python -m build`` made."""

    wheel: Path
    sdist: Path


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The sdist of the checkout, and the wheel of that sdist."""
    folder = tmp_path_factory.mktemp("dist")
    run([sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)])
    return Built(next(folder.glob("*.whl")), next(folder.glob("*.tar.gz")))


@pytest.fixture(scope="session", params=KINDS)
def installed(request: pytest.FixtureRequest, built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ``bin`` folder of an environment into which shakegpt was installed in one of the three ways."""
    folder = tmp_path_factory.mktemp(request.param) / "venv"
    venv.create(folder, symlinks=True)
    scheme = {"base": str(folder), "platbase": str(folder)}
    libraries = Path(sysconfig.get_path("purelib", "venv", vars=scheme))
    (libraries / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    source = {"wheel": [str(built.wheel)], "sdist": [str(built.sdist)], "editable": ["-e", str(ROOT)]}[request.param]
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "--disable-pip-version-check"]
    options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--force-reinstall"]
    run([*pip, "install", *options, *source])
    return folder / "bin"


def run(command: list[str], **options: object) -> str:
    """Run a command to its end, and return what it printed."""
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
        **options,  # type: ignore[call-overload]
    )
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return str(done.stdout)


def shipped() -> set[str]:
    """Return the files of the checkout that belong in a wheel, by their names there."""
    program = [path for path in (ROOT / "shakegpt").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assets = [
        path for name in ("corpus", "pretrained") for path in (ROOT / "assets" / name).rglob("*") if path.is_file()
    ]
    return {path.relative_to(ROOT).as_posix() for path in program} | {
        f"shakegpt/{path.relative_to(ROOT).as_posix()}" for path in assets
    }


# What is in them


def test_the_wheel_has_every_file_and_no_other(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert names == shipped()
    assert {"shakegpt/py.typed", "shakegpt/tui/app.tcss", "shakegpt/assets/corpus/demo.txt"} <= names
    assert {PurePosixPath(name).suffix for name in names} <= {
        ".py",
        ".typed",
        ".tcss",
        ".txt",
        ".md",
        ".json",
        ".safetensors",
    }


def test_the_sdist_has_what_building_and_testing_need_and_nothing_else(built: Built) -> None:
    with tarfile.open(built.sdist) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert {
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "PKG-INFO",
        "tests/conftest.py",
        "assets/corpus/demo.txt",
    } <= names
    assert {name for name in names if name.startswith("shakegpt/")} >= {
        name for name in shipped() if not name.startswith("shakegpt/assets/")
    }
    unwanted = {".git", ".venv", "__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis", "dist"}
    assert [name for name in names if unwanted & set(name.split("/"))] == []
    assert [name for name in names if name.endswith((".pyc", ".orig", ".log"))] == []


def test_the_metadata_has_the_version_of_the_one_place(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as wheel:
        name = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(wheel.read(name))
        scripts = wheel.read(name.replace("METADATA", "entry_points.txt")).decode()
    assert metadata["Version"] == __version__
    assert f"shakegpt-{__version__}" in built.wheel.name
    assert "shakegpt = shakegpt.__main__:main" in scripts
    assert {"hf", "gguf", "tensorboard", "plot", "bench", "test", "dev"} <= set(
        metadata.get_all("Provides-Extra") or []
    )
    assert "# " in str(metadata.get_payload())  # the README
    labels = {url.split(", ")[0] for url in metadata.get_all("Project-URL") or []}
    assert {"Homepage", "Source", "Issues", "Changelog"} <= labels
    classifiers = set(metadata.get_all("Classifier") or [])
    assert {f"Programming Language :: Python :: 3.{minor}" for minor in (11, 12, 13)} <= classifiers
    places = [
        path
        for path in [ROOT / "pyproject.toml", *(ROOT / "shakegpt").rglob("*.py")]
        if f'"{__version__}"' in path.read_text(encoding="utf-8")
    ]
    assert [path.name for path in places] == ["version.py"]


# What they do when installed


def command(installed: Path, *words: str, cwd: Path) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PATH": f"{installed}{os.pathsep}{os.environ['PATH']}"}
    environment.pop("PYTHONPATH", None)
    return run([str(installed / words[0]), *words[1:]], cwd=cwd, env=environment, stdin=subprocess.DEVNULL)


def test_it_is_the_installed_one_that_runs(installed: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    place = Path(command(installed, "python", "-c", "import shakegpt; print(shakegpt.__file__)", cwd=tmp_path).strip())
    editable = "editable" in request.node.callspec.id
    assert place.is_relative_to(ROOT if editable else installed.parent)


def test_module_and_script_print_the_version(installed: Path, tmp_path: Path) -> None:
    assert command(installed, "python", "-m", "shakegpt", "--version", cwd=tmp_path) == f"shakegpt {__version__}\n"
    assert command(installed, "shakegpt", "--version", cwd=tmp_path) == f"shakegpt {__version__}\n"


def test_the_doctor_finds_everything(installed: Path, tmp_path: Path) -> None:
    report = json.loads(command(installed, "shakegpt", "doctor", "--json", cwd=tmp_path))
    assert report["versions"]["shakegpt"] == __version__
    assert report["corpora"]["demo"] == "built in"


def test_it_generates(installed: Path, tmp_path: Path, trained_home: Path) -> None:
    checkpoint = str(Store(trained_home).find("macbeth").path)
    words = ("shakegpt", "generate", "--checkpoint", checkpoint, "--prompt", "ROMEO:", "--length", "20", "--seed", "1")
    assert len(command(installed, *words, cwd=tmp_path).strip()) > 6


def test_it_generates_on_first_run(installed: Path, tmp_path: Path) -> None:
    if not (ROOT / "assets" / "pretrained").is_dir():
        pytest.skip("this checkout has no pretrained model to ship")
    result = json.loads(
        command(installed, "shakegpt", "generate", "--prompt", "ROMEO:", "--length", "20", "--json", cwd=tmp_path)
    )
    assert (result["checkpoint"], result["characters"]) == ("pretrained", 20)


@pytest.mark.parametrize("installed", ["wheel"], indirect=True)  # the other two have the same metadata
def test_its_requirements_are_met(installed: Path, tmp_path: Path) -> None:
    python = str(installed / "python")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check", "check"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=COMMAND_SECONDS,
        check=False,
    )
    assert [line for line in done.stdout.splitlines() if line.startswith("shakegpt ")] == []
