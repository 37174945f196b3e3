"""What holds of the code as a whole: who may import whom, what is described, and what is never used."""

import ast
import configparser
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import shakegpt

PACKAGE = Path(shakegpt.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
NAMES = [str(path.relative_to(PACKAGE)) for path in MODULES]


@pytest.fixture(scope="module")
def trees() -> dict[Path, ast.Module]:
    """Every module of the package, parsed."""
    return {path: ast.parse(path.read_text()) for path in MODULES}


def public(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, ast.AST]]:
    """Yield public classes, functions and methods; not setters, nor the bare signatures of overloads and protocols."""
    for node in body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
            continue
        if isinstance(node, ast.ClassDef):
            yield prefix + node.name, node
            yield from public(node.body, f"{prefix}{node.name}.")
        elif not (len(node.body) == 1 and ast.unparse(node.body[0]) == "...") and not _is_setter(node):
            yield prefix + node.name, node


def _is_setter(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Its property says what it is."""
    return any(ast.unparse(decorator).endswith(".setter") for decorator in node.decorator_list)


def imports(tree: ast.Module) -> set[str]:
    """Return the top-level names of the packages that a module imports, anywhere in it."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


def test_every_module_imports_from_floors_below_its_own_only() -> None:
    pytest.importorskip("importlinter", reason="import-linter comes with the dev extra")
    root = PACKAGE.parent
    if not (root / "pyproject.toml").is_file():
        pytest.skip("the contracts are in pyproject.toml, which an installed package is without")
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command; lint_imports_command()",
            "--no-cache",
        ],
        cwd=root,
        env={**os.environ, "TERM": "dumb"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_everything_public_is_described(trees: dict[Path, ast.Module], path: Path) -> None:
    tree = trees[path]
    assert ast.get_docstring(tree) or not tree.body, "the module has no docstring"
    assert [name for name, node in public(tree.body) if not ast.get_docstring(node)] == []  # type: ignore[arg-type]


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_nothing_reads_or_writes_a_pickle(trees: dict[Path, ast.Module], path: Path) -> None:
    assert not imports(trees[path]) & {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal", "joblib"}
    calls = {ast.unparse(node.func) for node in ast.walk(trees[path]) if isinstance(node, ast.Call)}
    assert not calls & {"torch.load", "torch.save", "torch.package", "numpy.load", "np.load", "eval", "exec"}


@pytest.mark.parametrize("path", [path for path in MODULES if "tui" in path.parts], ids=lambda path: path.name)
def test_screens_hold_no_tensors(trees: dict[Path, ast.Module], path: Path) -> None:
    assert "torch" not in imports(trees[path])


@pytest.mark.parametrize(
    "path", [path for path in MODULES if not {"tui", "cli"} & set(path.parts)], ids=lambda path: path.name
)
def test_the_engine_knows_no_interface(trees: dict[Path, ast.Module], path: Path) -> None:
    assert not imports(trees[path]) & {"textual", "rich", "typer", "click"}


def test_the_package_says_that_it_is_typed() -> None:
    assert (PACKAGE / "py.typed").is_file()


def test_the_console_script_is_the_command_line() -> None:
    from importlib.metadata import distribution

    entry_points = configparser.ConfigParser()
    entry_points.read_string(distribution("shakegpt").read_text("entry_points.txt") or "")
    assert entry_points["console_scripts"]["shakegpt"] == "shakegpt.cli:main"
