"""Every block of code in README, CONTRIBUTING and docs/: configurations load, code runs, commands are understood."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from snippets import NOT_EXECUTED, ROOT, Block, blocks, commands, why_not_run
from torch.distributed.run import get_args_parser

sys.path += [str(ROOT / "tests" / folder) for folder in ("evaluator", "inference", "model_folder")]
sys.path.append(str(ROOT / "tools/dcc"))

from a2f_dcc.arguments import export_options, import_options, script_arguments
from made_reports import made_report
from small_graphs import write_graph
from small_models import REGRESSION, write_model

from audio2face.cli import parsers, settings
from audio2face.cli.main import COMMANDS
from audio2face.config import Roots, load
from audio2face.evaluator.report_files import write_report
from audio2face.importers.research_layout import read_layout
from tools import docker

CONFIGURED = re.compile(r"# configs/[a-z-]+/(?P<file>config_(?P<section>[a-z]+)\.py)\n")
PYTHON = blocks("python")
KNOWN_LANGUAGES = {
    "bash",
    "powershell",
    "python",
    "json",
    "toml",
    "yaml",
    "ini",
    "javascript",
    "text",
    "{toctree}",
    "{include} ../CONTRIBUTING.md",
}
# What a snippet of one file needs of the others.
AROUND = {
    "config_dataset.py": """ACTOR_NAMES = ["mary", "john"]
SHOT_EMOTION_NAMES = ["neutral", "joy"]
CACHE_FPS = dict.fromkeys(ACTOR_NAMES, 30.0)
AUDIO_ROOT = SKIN_CACHE_ROOT = {actor: f"{actor}/data" for actor in ACTOR_NAMES}
""",
    "config_preproc.py": "",
    "config_train.py": 'RUN_NAME = "test"\nNETWORK_TYPE = "diffusion"\n',
    "config_inference.py": "",
}


def test_every_block_says_its_language() -> None:
    assert {block.language for block in blocks()} <= KNOWN_LANGUAGES


@pytest.mark.parametrize("block", [block for block in PYTHON if CONFIGURED.match(block.text)], ids=str)
def test_a_configuration_is_accepted(block: Block, tmp_path: Path) -> None:
    match = CONFIGURED.match(block.text)
    assert match is not None
    shutil.copytree(ROOT / "configs", tmp_path / "configs")  # which a snippet may extend
    folder = tmp_path / "configs" / "my-config"
    folder.mkdir()
    for name, text in AROUND.items():
        (folder / name).write_text(text + (block.text if name == match["file"] else ""))
    load(
        "my-config",
        stage="train",
        roots=Roots(tmp_path, tmp_path),
        configs_folder=tmp_path / "configs",
        check_files=False,
    )


@pytest.fixture
def folder_of_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files of the names that snippets read."""
    pose = np.zeros((4, 3), np.float32)
    for name in ("blender_shot", "neutral_pose", "lips_open_pose"):
        np.save(tmp_path / f"{name}.npy", pose[None] if name == "blender_shot" else pose)
    for name in ("upper", "lower"):
        (tmp_path / f"{name}.json").write_text("[1, 2]")
    (tmp_path / "jaw").mkdir()
    np.save(tmp_path / "jaw" / "s001_neutral.npy", pose[None])
    model = tmp_path / "workspace/output_deploy/261123_101500_first-try"
    model.mkdir(parents=True)
    info = replace(REGRESSION, actor="mary", emotions=("joy", "anger"), default_emotion=(0.0, 0.0))
    write_model(model, info)
    write_graph(model / "network.onnx", info)
    soundfile.write(tmp_path / "speech.wav", np.random.default_rng(0).uniform(-0.5, 0.5, 16_000), 16_000)
    write_report(made_report(), tmp_path / "workspace/output_evaluate" / model.name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("A2F_WORKSPACE_ROOT", str(tmp_path / "workspace"))
    return tmp_path


@pytest.mark.parametrize("block", [block for block in PYTHON if not CONFIGURED.match(block.text)], ids=str)
def test_code_runs(block: Block, folder_of_files: Path) -> None:
    tree = ast.parse(block.text)
    before = set(folder_of_files.iterdir())
    if any(mark in block.text for mark in NOT_EXECUTED):
        imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        tree.body = [node for node in imports if "maya" not in ast.unparse(node)]
    exec(compile(tree, str(block), "exec"), {"__name__": "__main__"})
    if len(tree.body) < len(ast.parse(block.text).body):
        return
    if "np.save" in block.text or "json.dump" in block.text:
        assert set(folder_of_files.iterdir()) > before, "writes nothing"


def test_toml_is_a_layout(tmp_path: Path) -> None:
    for number, block in enumerate(blocks("toml")):
        path = tmp_path / f"{number}.toml"
        path.write_text(block.text)
        assert read_layout(str(path)).fps == 60


def test_json_is_json() -> None:
    for block in blocks("json"):
        json.loads(block.text)


@pytest.mark.parametrize("block", blocks("yaml"), ids=str)
def test_containers_start_the_service_with_arguments_that_it_knows(block: Block) -> None:
    documents = list(yaml.safe_load_all(block.text))
    workload = documents[0]
    if "services" in workload:
        arguments = workload["services"]["audio2face"]["command"]
    else:
        (container,) = workload["spec"]["template"]["spec"]["containers"]
        arguments = container["args"]
    args = parsers.parse("serve", arguments)
    assert (args.host, args.port, args.metrics_port) == ("0.0.0.0", 52000, 9464)
    if "services" in workload:
        service = workload["services"]["audio2face"]
        assert service["ports"] == ["52000:52000"]
        assert args.keys == f"/run/secrets/{service['secrets'][0]}"
        assert set(service["secrets"]) == workload["secrets"].keys()
        assert f"localhost:{args.metrics_port}/healthz" in service["healthcheck"]["test"][-1]
        assert float(service["stop_grace_period"].removesuffix("s")) > args.drain
        assert args.models == [f"{service['volumes'][0].split(':')[1]}/mary"]
        return
    pod, ports = (
        workload["spec"]["template"]["spec"],
        {port["name"]: port["containerPort"] for port in container["ports"]},
    )
    assert ports == {"grpc": args.port, "metrics": args.metrics_port}
    assert container["readinessProbe"]["grpc"]["port"] == args.port
    assert container["livenessProbe"]["httpGet"]["port"] in ports
    assert pod["terminationGracePeriodSeconds"] > args.drain
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    assert args.models == [f"{container['volumeMounts'][0]['mountPath']}/mary"]
    labels = workload["spec"]["template"]["metadata"]["labels"]
    assert workload["spec"]["selector"]["matchLabels"] == documents[1]["spec"]["selector"] == labels
    assert documents[1]["spec"]["ports"][0]["targetPort"] in ports


@pytest.mark.parametrize("block", blocks("ini"), ids=str)
def test_settings_are_settings(block: Block, tmp_path: Path) -> None:
    if block.text.startswith("[wsl2]"):  # Windows' own file
        return
    (tmp_path / ".env").write_text(block.text)
    assert settings.read_settings(tmp_path / ".env").keys() <= set(settings.SETTINGS)


@pytest.mark.parametrize("block", blocks("powershell"), ids=str)
def test_powershell_is_for_windows(block: Block) -> None:
    assert all(why_not_run(words) for words in commands(block))


@pytest.mark.parametrize("block", blocks("bash"), ids=str)
def test_commands_are_understood(block: Block) -> None:
    for words in commands(block):
        while re.fullmatch(r"[A-Z0-9_]+=.*", words[0]):  # a variable for this command only
            words = words[1:]
        if why_not_run(words) is None:
            understand(words)


def understand(words: list[str]) -> None:
    """Lets the parser of a command of ours read its arguments; fails where there is none."""
    program, *rest = words
    if program in ("python", "python3", ".venv/bin/python") and rest[0] not in ("-m", "-c"):
        program, *rest = rest
    if program == ".venv/bin/torchrun":
        options = get_args_parser().parse_args(rest)
        assert options.nproc_per_node
        program, rest = options.training_script, options.training_script_args
    assert (ROOT / program).is_file() or program in OTHERS, words
    stage = re.fullmatch(r"(?:\./docker/|runners/)?run_(?P<stage>[a-z]+)(?:_debug)?\.(?:py|sh)", program)
    if program in OTHERS:
        OTHERS[program](rest)
    elif stage is not None and stage["stage"] in parsers.PARSERS:
        if rest or "_debug" not in program:
            parsers.parse(stage["stage"], rest)
    elif stage is not None:
        assert stage["stage"] == "shell"
        assert not rest
    elif program.startswith("tools/dcc/"):
        run_in_scene([program, *rest])
    elif program.endswith("build_docker.sh"):
        assert docker.parser().parse_args(["build", *rest])
    else:
        assert rest in ([], ["--check"]), words  # a tool without arguments


def run_copy(rest: list[str]) -> None:
    assert (ROOT / rest[0]).is_file()


def run_module(rest: list[str]) -> None:
    """`python -m NAME`: whether there is such a module; `python -c CODE`: whether it runs."""
    if rest[0] == "-c":
        subprocess.run([sys.executable, *rest], check=True)
        return
    assert rest[0] == "-m"
    done = subprocess.run(
        [sys.executable, "-c", f"import importlib.util as u; assert u.find_spec({rest[1]!r})"], cwd=ROOT
    )
    assert done.returncode == 0


def run_command(rest: list[str]) -> None:
    """`audio2face NAME`: its parser reads the arguments."""
    name, *arguments = rest
    assert name in COMMANDS, rest
    parsers.parse(COMMANDS[name].stage or name, arguments)


def run_in_scene(rest: list[str]) -> None:
    """A script that runs in Blender or Maya: its parser reads what stands behind `--`."""
    script = ROOT / next(word for word in rest if word.endswith(".py"))
    assert script.is_file()
    read = import_options if script.stem.endswith("_import") else export_options
    assert read(script.name, script_arguments(rest)).skin


OTHERS = {
    "blender": run_in_scene,
    "mayapy": run_in_scene,
    "audio2face": run_command,
    "a2f": run_command,
    "cp": run_copy,
    "python": run_module,
    "python3": run_module,
    ".venv/bin/python": run_module,
}


def test_cp_makes_settings_that_can_be_read(tmp_path: Path) -> None:
    shutil.copy(ROOT / ".env.example", tmp_path / ".env")
    assert settings.read_settings(tmp_path / ".env") == {}
    commented = re.sub(r"^#(?=A2F_)", "", (tmp_path / ".env").read_text(), flags=re.MULTILINE)
    (tmp_path / ".env").write_text(commented)
    assert settings.read_settings(tmp_path / ".env").keys() == set(settings.SETTINGS)
    assert os.environ.get("A2F_RUNTIME") in (None, *("auto", "local", "docker"))
