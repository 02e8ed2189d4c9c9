"""Rules for the whole suite: slow tests on demand, and no silent skips where everything must run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from audio2face.log_settings import FORMAT_VARIABLE, LEVEL_VARIABLE

if TYPE_CHECKING:
    from playwright.sync_api import Browser

DATA = Path(__file__).parent / "data"
ROOT = Path(__file__).parent.parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox",  # in a container there is none to be had
    "--use-gl=angle",
    "--use-angle=swiftshader",  # WebGL 2 without a graphics card
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-dev-shm-usage",
    "--mute-audio",
)

BPY, BPY_VARIABLE = "bpy==4.5.15", "A2F_BPY_PYTHON"  # for Python 3.11 only


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="also run the tests marked slow")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves slow tests out (counted as deselected) unless they are asked for."""
    if config.getoption("--slow"):
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    if slow:
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in slow]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Under A2F_REQUIRE_ALL=1 a skipped test is a failure: something that tests need is missing."""
    report = yield
    if report.skipped and os.environ.get("A2F_REQUIRE_ALL") == "1":
        report.outcome = "failed"
        report.longrepr = f"skipped although A2F_REQUIRE_ALL=1: {report.longrepr}"
    return report


@pytest.fixture
def reference_data() -> Path:
    """Inputs and outputs of the reference implementation."""
    return DATA / "reference"


@pytest.fixture(autouse=True)
def log_options_of_one_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parsing a command line sets variables for the log of the process and its children; each test starts without."""
    for name in (LEVEL_VARIABLE, FORMAT_VARIABLE):
        monkeypatch.setenv(name, "")  # removed at the end of the test, whoever sets it in between


@pytest.fixture(scope="session")
def start_browser() -> Iterator[Callable[..., Browser]]:
    """Starts headless Chromium of the system with further flags; its clocks run as they do for people."""
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is installed")
    with sync_playwright() as playwright:
        yield lambda *flags: playwright.chromium.launch(executable_path=program, args=[*FLAGS, *flags])


@pytest.fixture(scope="session")
def browser(start_browser: Callable[..., Browser]) -> Iterator[Browser]:
    """Headless Chromium."""
    opened = start_browser()
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def blender(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An interpreter that has `bpy`, Blender as a package of 373 MB: named by A2F_BPY_PYTHON, else made here."""
    if BPY_VARIABLE in os.environ:
        return os.environ[BPY_VARIABLE]
    if sys.version_info[:2] != (3, 11):
        pytest.skip(f"{BPY} is for Python 3.11; {BPY_VARIABLE} names an interpreter that has it")
    folder = tmp_path_factory.mktemp("blender")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = str(folder / "bin/python")
    done = subprocess.run([python, "-m", "pip", "install", "--quiet", BPY], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(
            f"{BPY} cannot be installed here; {BPY_VARIABLE} names an interpreter that has it: {done.stderr[-300:]}"
        )
    return python
