"""The page in a browser: what is drawn, when, and what the controls do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect
from speaking_heads import cloud, speaking_head, with_dent

from audio2face.export import Animation
from audio2face.player import write_page

FPS = 60.0
OPEN, SHUT = 0.5, 1.0  # seconds
SMALL_TEXTURES = "#side=256&layers=2"

# Positions of the skin's vertices as the graphics card holds them, [verts, 4].
READ_POSITIONS = """() => {
  const { gl, clips } = window.player.player;
  const { positionsBuffer, grid, numVerts } = clips[0].skin;
  const values = new Float32Array(4 * grid.width * grid.height);
  gl.bindFramebuffer(gl.FRAMEBUFFER, positionsBuffer);
  gl.readPixels(0, 0, grid.width, grid.height, gl.RGBA, gl.FLOAT, values);
  gl.bindFramebuffer(gl.FRAMEBUFFER, null);
  return Array.from(values.subarray(0, 4 * numVerts));
}"""

# After each drawing while it plays: the time that the sound has come to, and the time of the frame drawn, seconds.
WATCH_CLOCKS = """async ([seconds, fps]) => {
  const { player } = window.player;
  const pairs = [];
  player.onUpdate(() => player.clock.playing && pairs.push([player.clock.audio.currentTime, player.frame / fps]));
  const started = performance.now();
  await window.player.play();
  await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
  const passed = (performance.now() - started) / 1000;
  const time = window.player.time;
  window.player.pause();
  return { pairs, passed, time };
}"""


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Animation:
    return speaking_head(tmp_path_factory.mktemp("head"))


@pytest.fixture(scope="module")
def single(head: Animation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_page(head, tmp_path_factory.mktemp("page") / "single.html", title="Ada & her <tone>")


@pytest.fixture(scope="module")
def double(head: Animation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    nose = int(head.skin.neutral[:, 2].argmax())
    other = with_dent(head, nose, 0.4)
    return write_page(head, tmp_path_factory.mktemp("page") / "double.html", compare=other, labels=("New", "Old"))


def picture(page: Page) -> np.ndarray:
    """What is drawn, `[height, width, 4]`, from the bottom."""
    width, height = page.evaluate("[window.player.player.canvas.width, window.player.player.canvas.height]")
    values = page.evaluate(f"Array.from(window.player.readPixels(0, 0, {width}, {height}))")
    return np.array(values, np.uint8).reshape(height, width, 4)


def around(page: Page, point: Any, radius: int) -> np.ndarray:
    """The part of the picture around a point of space, `[rows, columns, 3]`."""
    place = page.evaluate("(point) => window.player.project(point)", [float(value) for value in point])
    left, bottom = (round(value) - radius for value in place)
    side = 2 * radius + 1
    values = page.evaluate(f"Array.from(window.player.readPixels({left}, {bottom}, {side}, {side}))")
    return np.array(values, float).reshape(side, side, 4)[..., :3]


def wait_until(page: Page, condition: str) -> None:
    page.evaluate(f"async () => {{ while (!({condition})) await new Promise(requestAnimationFrame); }}")


def mouth(page: Page, head: Animation) -> np.ndarray:
    lips = np.concatenate([head.parts["lip_upper"], head.parts["lip_lower"]])
    return around(page, head.skin.neutral[lips].mean(axis=0) - [0, 0.8, 0], 5)


def test_mouth_is_open_when_the_data_say_so(open_page: Any, single: Path, head: Animation) -> None:
    page = open_page(single)
    assert page.title() == "Ada & her <tone>"
    brightness = {}
    for time in (OPEN, SHUT):
        page.evaluate(f"window.player.seek({time})")
        assert page.evaluate("window.player.frame") == round(time * FPS)
        brightness[time] = mouth(page, head).mean()
    assert brightness[OPEN] < 0.5 * brightness[SHUT]


def test_card_holds_the_animation_whatever_its_limits(open_page: Any, single: Path, head: Animation) -> None:
    pictures = []
    for address in ("", SMALL_TEXTURES):
        page = open_page(single, address, width=300, height=360)
        for frame in (0, 30, 101):
            page.evaluate(f"window.player.seek({frame / FPS})")
            positions = np.array(page.evaluate(READ_POSITIONS), np.float32).reshape(-1, 4)[:, :3]
            assert np.linalg.norm(positions - head.skin.frames[frame], axis=1).max() < 0.011  # the 0.1 mm of the page
        pictures.append(picture(page).astype(int))
    assert pictures[0].std() > 20  # something is drawn
    assert np.abs(pictures[0] - pictures[1]).max() <= 2


def test_sound_and_picture_keep_the_same_time(open_page: Any, single: Path) -> None:
    page = open_page(single, width=240, height=360)
    seen = page.evaluate(WATCH_CLOCKS, [2.5, FPS])
    sound, drawn = np.array(seen["pairs"]).T
    assert len(sound) >= 3
    assert abs(np.median(sound - drawn)) < 1 / FPS
    assert drawn[-1] > 1.5
    assert abs(seen["time"] - seen["passed"]) < 0.3  # the sound's start takes a moment


def test_heat_map_is_hot_where_faces_differ(open_page: Any, double: Path, head: Animation) -> None:
    page = open_page(double, width=560, height=360)
    page.get_by_role("button", name="Heat map").click()
    page.evaluate("window.player.set({ heatTop: 3 })")
    nose = head.skin.neutral[head.skin.neutral[:, 2].argmax()]
    red, _, blue = around(page, nose, 1).mean(axis=(0, 1))
    assert red > 1.5 * blue
    red, _, blue = around(page, [0, 7, 3], 1).mean(axis=(0, 1))
    assert blue > 1.5 * red
    expect(page.locator("#heat")).to_contain_text("worst 4.00")


def test_controls(open_page: Any, double: Path) -> None:
    page = open_page(double, width=1000, height=700)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press(",")
    expect(page.get_by_text("frame 60 of 179")).to_be_visible()
    timeline = page.get_by_role("slider", name="Position")
    expect(timeline).to_have_attribute("aria-valuenow", "1.000")
    page.get_by_role("combobox", name="Speed").select_option("0.5")
    page.get_by_role("button", name="Play", exact=True).click()
    wait_until(page, "window.player.time > 1.1")
    assert page.evaluate("window.player.player.clock.audio.playbackRate") == 0.5
    page.keyboard.press("k")
    expect(page.get_by_role("button", name="Play", exact=True)).to_have_attribute("aria-pressed", "false")
    page.get_by_role("button", name="Old").click()
    expect(page.get_by_role("img", name="Animated face: Old", exact=True)).to_be_visible()
    box = timeline.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 40)
    assert 1.2 < page.evaluate("window.player.time") < 1.8
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("one frame back")


def test_part_is_played_over_and_over(open_page: Any, single: Path) -> None:
    page = open_page(single)
    box = page.get_by_role("slider", name="Position").bounding_box()
    assert box is not None
    page.keyboard.down("Shift")
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 40)
    page.mouse.up()
    page.keyboard.up("Shift")
    start, end = page.evaluate("window.player.player.clock.range")
    page.keyboard.press("l")
    page.keyboard.press(" ")
    page.wait_for_timeout(1500)
    assert 0.1 < end - start < 0.6
    assert start - 0.1 < page.evaluate("window.player.time") < end + 0.3
    assert page.evaluate("window.player.player.clock.playing")


def test_facts_are_text_and_panel_follows(open_page: Any, single: Path) -> None:
    page = open_page(single, width=1000, height=900)
    panel = page.get_by_role("complementary", name="Details")
    expect(panel).to_contain_text("</script><b>made up</b>")
    page.locator("summary").click()
    expect(panel.get_by_text("1.25")).to_be_visible()
    expect(panel).to_contain_text("joy0.75")
    page.evaluate("window.player.seek(0.5)")
    expect(panel).to_contain_text("Lips, result")


def test_address_names_a_moment(open_page: Any, single: Path) -> None:
    page = open_page(single, f"{SMALL_TEXTURES}&t=1.25")
    assert page.evaluate("[window.player.frame, window.player.time]") == [75, 1.25]
    assert not page.evaluate("window.player.player.clock.playing")
    page.evaluate("window.player.play()")
    page.evaluate("location.hash = '#t=0.5'")
    wait_until(page, "window.player.frame === 30")
    assert not page.evaluate("window.player.player.clock.playing")
    page.evaluate("location.hash = '#t=99'")
    wait_until(page, "window.player.frame === 179")


def test_points_without_sound(open_page: Any, tmp_path: Path) -> None:
    page = open_page(write_page(cloud(), tmp_path / "cloud.html"))
    assert picture(page).std() > 3
    page.evaluate("window.player.play()")
    wait_until(page, "window.player.frame > 20")


def test_other_actor_at_another_rate_has_no_heat_map(open_page: Any, head: Animation, tmp_path: Path) -> None:
    other = replace(speaking_head(tmp_path, seconds=2.0, fps=30.0), actor="ben", tongue=None)
    page = open_page(write_page(head, tmp_path / "actors.html", compare=other), width=700)
    page.evaluate("window.player.seek(2.9)")
    expect(page.get_by_role("button", name="Side by side")).to_be_visible()
    expect(page.get_by_role("button", name="Heat map")).to_have_count(0)
