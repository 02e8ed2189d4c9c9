"""Rules of the architecture that a program can check: style, types, and who may import whom."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "audio2face"

# A package imports only what stands above it.
ORDER = [
    "placeholders",
    "command_names",
    "log_settings",
    "errors",
    "run_names",
    "home",
    "extras",
    "types",
    "interrupts",
    "io",
    "console",
    "families",
    "config_base",
    "config",
    "runs",
    "inventory",
    "geometry",
    "audio",
    "phonetic",
    "models",
    "animation",
    "dataset",
    "example",
    "synthesis",
    "preproc",
    "model_folder",
    "inference",
    "rigs",
    "importers",
    "evaluate",
    "export",
    "player",
    "outputs",
    "serve",
    "api",
    "live",
    "live_page",
    "training",
    "deploy",
    "evaluator",
    "cli",
]
RANK = {name: rank for rank, name in enumerate(ORDER)}
# What host scripts are made of.
HOST_TOOLS = [
    *(ROOT / f"tools/{name}.py" for name in ("docker", "environment", "launch", "start")),
    *(PACKAGE / f"{name}.py" for name in ("__init__", "command_names", "home", "interrupts", "log_settings")),
    *(PACKAGE / f"cli/{name}.py" for name in ("__init__", "local", "settings", "stage_process", "supervisor")),
    *(PACKAGE / "cli/parsers").glob("*.py"),
]
# What takes from half a second to several seconds to load.
SLOW = ("torch", "transformers", "matplotlib", "scipy.signal", "scipy.stats", "scipy.sparse", "av", "pxr", "onnx")
# Inference needs no torch.
WITHOUT_TORCH = [
    "families",
    "config",
    "geometry",
    "audio",
    "phonetic",
    "dataset",
    "animation",
    "model_folder",
    "inference",
    "rigs",
    "importers",
    "export",
    "player",
    "outputs",
    "serve",
    "api",
    "live",
    "live_page",
]


def imported_packages(source: Path) -> set[str]:
    """The packages of ours that a file imports, at its top or inside functions."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{source}: relative import"
            names = [node.module or ""]
            if node.module == "audio2face":
                names = [f"audio2face.{alias.name}" for alias in node.names if alias.name != "__version__"]
        found |= {name.split(".")[1] for name in names if name.startswith("audio2face.")}
    return found


def test_imports_follow_the_order_of_packages() -> None:
    wrong = []
    for source in PACKAGE.rglob("*.py"):
        package = source.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if package in ("__init__", "__main__"):
            continue
        assert package in RANK, f"{package} has no place in the order"
        wrong += [
            f"{source.relative_to(ROOT)}: {used}"
            for used in imported_packages(source)
            if RANK.get(used, 99) > RANK[package]
        ]
    assert not wrong


def test_the_documented_order_of_packages_is_the_tested_one() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    documented = page.split("`placeholders ", 1)[1].split("`", 1)[0].split()
    assert ["placeholders", *documented] == ORDER


def test_no_torch_where_none_is_needed() -> None:
    present = [
        package for package in WITHOUT_TORCH if (PACKAGE / package).exists() or (PACKAGE / f"{package}.py").exists()
    ]
    code = "import sys, importlib\n"
    code += "".join(f"importlib.import_module('audio2face.{package}')\n" for package in present)
    assert loaded_by(code) == []


def test_animating_starts_without_what_takes_long_to_load() -> None:
    """benchmarks/start_up.py measures the time."""
    assert loaded_by("import sys, audio2face.cli.animate\n") == []


def loaded_by(code: str) -> list[str]:
    """Which slow modules some code loads in a new process."""
    code += f"print(*(name for name in {SLOW} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.parametrize(
    "source",
    [*ROOT.glob("run_*.py"), *HOST_TOOLS],
    ids=lambda path: path.relative_to(ROOT).as_posix(),
)
def test_host_scripts_parse_on_python_3_8(source: Path) -> None:
    ast.parse(source.read_text(encoding="utf-8"), feature_version=(3, 8))


@pytest.mark.parametrize(
    "command",
    [["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"]],
    ids=["lint", "format", "types"],
)
def test_style_and_types(command: list[str]) -> None:
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
