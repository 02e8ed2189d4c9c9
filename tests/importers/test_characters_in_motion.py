"""The example actor, exported as glTF, USD and Alembic, comes back; interpolation, joints, rates and bad files."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from example_performances import performed
from exported_actor import spoken_animation, tongue_weights
from research_sets import FPS, faces, neutral, skin, write_sound

from audio2face.cli import import_data
from audio2face.config import load
from audio2face.dataset import ActorDataset
from audio2face.errors import UserError
from audio2face.example.head import Head
from audio2face.export.gltf import write_glb
from audio2face.export.usd import write_usd
from audio2face.importers.kinds import Importer, ImportOptions, new_importer
from audio2face.importers.take import Take
from audio2face.types import Float32Array

FEW = 45
PIVOT = np.float32([0, -0.02, -0.05])  # of a jaw, metres


def opened(kind: str, *sources: Path, fps: float | None = None, audio: Path | None = None) -> tuple[Importer, Take]:
    importer = new_importer(kind, ImportOptions(fps=fps, audio=audio))
    return importer, importer.read(importer.inspect(sources)[0].name)


def refused(kind: str, *sources: Path, fps: float | None = None) -> str:
    with pytest.raises(UserError) as caught:
        opened(kind, *sources, fps=fps)
    return str(caught.value)


def apart_mm(take: Take, truth: Float32Array) -> float:
    assert take.meshes is not None
    return float(10 * np.linalg.norm(take.meshes.skin.read(0, take.num_frames) - truth, axis=2).max())


def check_inside(importer: Importer, take: Take) -> None:
    """Tongue, jaw and eyes are those of the actor."""
    head, spoken = Head.open("ada"), performed()
    assert take.meshes is not None
    assert take.meshes.tongue is not None
    count = take.num_frames
    weights = spoken.weights[:count]
    tongue = head.tongue(weights, tongue_weights(count))
    assert 10 * np.abs(take.meshes.tongue.read(0, count) - tongue).max() < 0.3
    assert take.eyes is not None
    np.testing.assert_allclose(take.eyes, spoken.eyes[:count], atol=1e-3)
    points = importer.geometry().jaw_keypoints
    assert points is not None
    assert take.meshes.jaw is not None
    turn, shift = head.jaw_transforms(weights)
    assert 10 * np.abs(take.meshes.jaw - (points @ turn.transpose(0, 2, 1) + shift[:, None] - points)).max() < 0.1


def test_gltf_with_named_shapes_comes_back(tmp_path: Path) -> None:
    (path,) = write_glb(spoken_animation(tmp_path, frames=FEW), tmp_path, "ada_joy")
    importer, take = opened("gltf", path)
    assert (take.name, take.fps, take.audio_start, take.emotion) == ("ada_joy", FPS, 0, "joy")
    assert take.audio == tmp_path / "ada_joy.wav"
    assert apart_mm(take, skin()[:FEW]) < 1e-3
    check_inside(importer, take)
    actor = importer.geometry()
    assert actor.shapes is not None
    assert len(actor.shapes.names) == 52
    assert actor.lists.tongue_rigid is not None
    assert {name.rpartition("_")[0] for name in actor.parts} >= {"upper_teeth", "lower_teeth", "right_eye", "left_eye"}


def test_gltf_without_named_shapes_loses_what_its_export_says(tmp_path: Path) -> None:
    (path,) = write_glb(spoken_animation(tmp_path, with_weights=False), tmp_path, "ada_joy")
    importer, take = opened("gltf", path)
    loss = document_of(path)["asset"]["extras"]["skin_error_mm"]["worst"]
    assert apart_mm(take, skin()) < loss + 0.01 < 0.6
    check_inside(importer, take)
    assert importer.geometry().lists.lip_dist is not None


def test_usd_comes_back_from_points_and_from_blend_shapes(tmp_path: Path) -> None:
    for path in write_usd(spoken_animation(tmp_path, frames=FEW), tmp_path, "ada_joy"):
        importer, take = opened("usd", path)
        assert (take.fps, take.audio_start, take.num_frames) == (FPS, 0, FEW)
        assert take.audio == tmp_path / "ada_joy.wav"
        assert apart_mm(take, skin()[:FEW]) < 1e-3
        assert (importer.geometry().shapes is None) == ("blendshapes" not in path.name)
    check_inside(importer, take)


def test_usd_takes_whose_jaw_begins_elsewhere_are_one_face(tmp_path: Path) -> None:
    """Parts that move by transforms rest where these have a value without a time, not where the first take begins."""
    spoken = spoken_animation(tmp_path, frames=FEW)
    moved = spoken.jaw.copy()
    moved[0, :3, 3] += 0.5
    jaws = {"a_joy": moved, "b_joy": spoken.jaw}
    for name, jaw in jaws.items():
        write_usd(replace(spoken, jaw=jaw), tmp_path, name)
    importer = new_importer("usd", ImportOptions())
    found = importer.inspect([tmp_path / f"{name}.usdc" for name in jaws])
    assert [summary.name for summary in found] == list(jaws)
    points = importer.geometry().jaw_keypoints
    assert points is not None
    for name, jaw in jaws.items():
        meshes = importer.read(name).meshes
        assert meshes is not None
        truth = points @ jaw[:, :3, :3].transpose(0, 2, 1) + jaw[:, None, :3, 3] - points
        np.testing.assert_allclose(meshes.jaw, truth, atol=1e-3)


def test_the_command_keeps_sound_and_face_in_step(tmp_path: Path, home: Path) -> None:
    (path,) = write_glb(spoken_animation(tmp_path), tmp_path, "ada_joy")
    assert import_data.main(["gltf", str(path), "--name", "mary"]) == 0
    dataset = ActorDataset.open("mary", load("mary", stage="check").dataset)
    shot = dataset.shot(dataset.shot_names[0])
    cache = shot.skin()
    assert 10 * np.abs(cache.read(0, cache.num_frames) - skin()[: cache.num_frames]).max() < 1e-3
    written, samplerate = soundfile.read(shot.audio, dtype="float32")
    lead = round(0.5 / FPS * samplerate)
    count = min(len(written) - lead, len(performed().samples))
    np.testing.assert_allclose(written[lead : lead + count], performed().samples[:count], atol=2**-15)
    assert dataset.shot(dataset.shot_names[0]).tongue() is not None


# --- glTF by hand -----------------------------------------------------------------------------------------------------


def document_of(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    size = struct.unpack_from("<I", data, 12)[0]
    found: dict[str, Any] = json.loads(data[20 : 20 + size])
    return found


class Made:
    """A glTF file with the skin of the example head, in metres, whose jaw opens in a few keys."""

    def __init__(self) -> None:
        self.binary = b""
        self.views: list[dict[str, Any]] = []
        self.accessors: list[dict[str, Any]] = []
        self.opening = Head.open("ada").skin_shapes[17]

    def add(self, array: np.ndarray, kind: str) -> int:
        component = {"f": 5126, "u": 5125, "B": 5121}["B" if array.dtype == np.uint8 else array.dtype.kind]
        self.views.append({"buffer": 0, "byteOffset": len(self.binary), "byteLength": array.nbytes})
        self.binary += np.ascontiguousarray(array).tobytes() + b"\0" * (-array.nbytes % 4)
        entry = {"bufferView": len(self.views) - 1, "componentType": component, "count": len(array), "type": kind}
        self.accessors.append(entry)
        return len(self.accessors) - 1

    def write(self, path: Path, nodes: list[Any], mesh: dict[str, Any], channels: list[Any], **more: Any) -> Path:
        """Channels are (node, property, times, values, interpolation)."""
        samplers, targets = [], []
        for node, name, times, values, mode in channels:
            kind = {"weights": "SCALAR", "rotation": "VEC4", "translation": "VEC3"}[name]
            output = self.add(np.asarray(values, np.float32), kind)
            samplers.append({"input": self.add(np.asarray(times, np.float32), "SCALAR"), "output": output})
            samplers[-1]["interpolation"] = mode
            targets.append({"sampler": len(samplers) - 1, "target": {"node": node, "path": name}})
        document = {
            "asset": {"version": "2.0"}, "scenes": [{"nodes": [0]}], "nodes": nodes, "meshes": [mesh],
            "accessors": self.accessors, "bufferViews": self.views, "buffers": [{"byteLength": len(self.binary)}],
            "animations": [{"name": "talk", "samplers": samplers, "channels": targets}], **more,
        }  # fmt: skip
        text = json.dumps(document).encode()
        text += b" " * (-len(text) % 4)
        total = 12 + 8 + len(text) + 8 + len(self.binary)
        head = struct.pack("<III", 0x46546C67, 2, total) + struct.pack("<II", len(text), 0x4E4F534A)
        path.write_bytes(head + text + struct.pack("<II", len(self.binary), 0x004E4942) + self.binary)
        return path

    def mesh(self, *, shapes: bool = True, joints: np.ndarray | None = None) -> dict[str, Any]:
        quads = faces()
        corners = np.concatenate([quads[:, [0, 1, 2]], quads[quads[:, 3] >= 0][:, [0, 2, 3]]]).astype(np.uint32)
        attributes = {"POSITION": self.add(neutral() / 100, "VEC3")}
        if joints is not None:
            places = np.zeros((len(joints), 4), np.uint8)
            places[:, 1] = 1
            shares = np.stack([1 - joints, joints, 0 * joints, 0 * joints], axis=1).astype(np.float32)
            attributes |= {"JOINTS_0": self.add(places, "VEC4"), "WEIGHTS_0": self.add(shares, "VEC4")}
        primitive: dict[str, Any] = {"attributes": attributes, "indices": self.add(corners.reshape(-1), "SCALAR")}
        if shapes:
            primitive["targets"] = [{"POSITION": self.add(self.opening / 100, "VEC3")}]
        return {"primitives": [primitive], "name": "face"}


def curve(mode: str, times: np.ndarray) -> np.ndarray:
    """Weights between the keys 0, 1, 0, 1 at half seconds, by the formulas of the specification."""
    keys, share = np.array([0, 1, 0, 1, 1.0]), (times / 0.5) % 1
    left = np.minimum((times / 0.5).astype(int), 3)
    if mode == "STEP":
        return keys[left]
    if mode == "LINEAR":
        return keys[left] * (1 - share) + keys[left + 1] * share
    return keys[left] + (keys[left + 1] - keys[left]) * (3 * share**2 - 2 * share**3)  # tangents of zero


@pytest.mark.parametrize("mode", ["LINEAR", "STEP", "CUBICSPLINE"])
def test_interpolation_of_weights(tmp_path: Path, mode: str) -> None:
    made = Made()
    values = np.array([0, 1, 0, 1], np.float32)
    if mode == "CUBICSPLINE":
        values = np.stack([0 * values, values, 0 * values], axis=1).reshape(-1)
    channel = (0, "weights", [0, 0.5, 1, 1.5], values, mode)
    path = made.write(tmp_path / "a.glb", [{"mesh": 0}], made.mesh(), [channel])
    assert "the times of its keys tell no frame rate" in refused("gltf", path)
    _, take = opened("gltf", path, fps=20)
    assert take.num_frames == 31
    expected = curve(mode, np.round(np.arange(31) / 20, 6) + 1e-9)[:, None, None] * made.opening + neutral()
    assert apart_mm(take, expected.astype(np.float32)) < 1e-3


def test_a_jaw_of_joints_and_a_head_that_turns(tmp_path: Path) -> None:
    """No shapes at all: a joint turns the jaw by spherical interpolation, and a node the whole head."""
    made = Made()
    opening = np.linalg.norm(made.opening, axis=1)
    share = np.clip(opening / opening.max(), 0, 1)
    times = np.arange(40) / 25
    half = np.radians(12) * np.sin(np.arange(40) / 4) ** 2 / 2
    jaw = np.stack([np.sin(half), 0 * half, 0 * half, np.cos(half)], axis=1)
    turn = np.radians(10) * np.sin(np.arange(40) / 9) / 2
    head = np.stack([0 * turn, np.sin(turn), 0 * turn, np.cos(turn)], axis=1)
    nodes = [{"children": [1, 2]}, {"mesh": 0, "skin": 0}, {"children": [3]}, {"translation": PIVOT.tolist()}]
    bind = np.tile(np.eye(4, dtype=np.float32), (2, 1, 1))
    bind[1, 3, :3] = -PIVOT  # column-major
    mesh = made.mesh(shapes=False, joints=share)
    channels = [(3, "rotation", times, jaw, "LINEAR"), (0, "rotation", times, head, "LINEAR")]
    inverse = made.add(bind.reshape(2, 16), "MAT4")
    path = made.write(
        tmp_path / "a.glb", nodes, mesh, channels, skins=[{"joints": [2, 3], "inverseBindMatrices": inverse}]
    )
    importer, take = opened("gltf", path)
    assert (take.fps, take.num_frames) == (25, 40)
    angle = 2 * half
    cosine, sine = np.cos(angle)[:, None], np.sin(angle)[:, None]
    _, y, z = (neutral() - 100 * PIVOT).T
    turned = np.stack([np.broadcast_to(neutral()[:, 0], (40, len(y))), cosine * y - sine * z, sine * y + cosine * z], 2)
    turned += np.array([0, *100 * PIVOT[1:]])
    expected = neutral() + share[None, :, None] * (turned - neutral())
    assert apart_mm(take, expected.astype(np.float32)) < 0.3  # the skin of the whole head gives a little
    assert take.head is not None
    np.testing.assert_allclose(take.head.angles[:, 0], np.degrees(2 * turn), atol=0.2)
    assert importer.geometry().shapes is None


def test_an_animation_that_begins_later(tmp_path: Path) -> None:
    """Programs that count from 1 put the first key at one frame; what begins at two seconds does so in the sound."""
    for first, start in ((1 / 30, 0.0), (2.0, 2.0)):
        made = Made()
        values = np.sin(np.arange(60) / 5).astype(np.float32) ** 2
        channel = (0, "weights", first + np.arange(60) / 30, values, "LINEAR")
        path = made.write(tmp_path / "a.glb", [{"mesh": 0}], made.mesh(), [channel])
        _, take = opened("gltf", path)
        assert (take.fps, take.num_frames) == (30, 60)
        assert take.audio_start == pytest.approx(start, abs=1e-6)


def test_bad_files(tmp_path: Path) -> None:
    (path,) = write_glb(spoken_animation(tmp_path, frames=FEW), tmp_path, "ada_joy")
    whole = path.read_bytes()
    for size in (3, 100, len(whole) // 2):
        path.write_bytes(whole[:size])
        assert "ada_joy.glb" in refused("gltf", path)
    made = Made()
    still = made.write(tmp_path / "still.glb", [{"mesh": 0}], made.mesh(), [])
    assert "moves no mesh" in refused("gltf", still)
    channel = (0, "weights", np.arange(30) / 30, np.zeros(30), "LINEAR")
    made = Made()
    flat = made.write(tmp_path / "flat.glb", [{"mesh": 0}], made.mesh(), [channel])
    assert "do not move as a speaking face does" in refused("gltf", flat)
    assert "holds no glTF files" in refused("gltf", tmp_path / "ada_joy.wav")
    assert "there is no such file" in refused("gltf", tmp_path / "none.glb")
    (tmp_path / "a.usda").write_text('#usda 1.0\ndef Mesh "a" {\n')
    assert "a.usda" in refused("usd", tmp_path / "a.usda")
    (tmp_path / "b.usda").write_text("#usda 1.0\n")
    assert "holds no animation" in refused("usd", tmp_path / "b.usda")
    stage = write_usd(spoken_animation(tmp_path, frames=FEW), tmp_path, "ada_joy")[0]
    damaged = bytearray(stage.read_bytes())
    damaged[88:3000] = bytes([255] * 2912)  # compressed polygons, which are read after the stage was opened
    stage.write_bytes(damaged)
    assert "is not a valid USD stage: Corrupt asset" in refused("usd", stage)


def test_takes_of_different_meshes_are_refused(tmp_path: Path) -> None:
    (path,) = write_glb(spoken_animation(tmp_path, frames=FEW), tmp_path, "ada_joy")
    made = Made()
    values = np.sin(np.arange(60) / 5).astype(np.float32) ** 2
    other = made.write(
        tmp_path / "z.glb", [{"mesh": 0}], made.mesh(), [(0, "weights", np.arange(60) / 30, values, "LINEAR")]
    )
    assert "z.glb: has meshes of 4,452 vertices, and ada_joy.glb of 4,452, 226" in refused("gltf", path, other)


# --- Alembic ----------------------------------------------------------------------------------------------------------


def write_abc(path: Path, frames: Float32Array, first: float = 1 / FPS) -> Path:
    """A cache as programs write it: polygons clockwise, a transform above the mesh, frame 1 first."""
    import imath
    from alembic3d import Abc, AbcGeom
    from alembic3d.AbcCoreAbstract import TimeSampling

    archive = Abc.OArchive(str(path))
    index = archive.addTimeSampling(TimeSampling(1 / FPS, first))
    above = AbcGeom.OXform(archive.getTop(), "head", index)
    mesh = AbcGeom.OPolyMesh(above, "Face", index)
    rows = [[corner for corner in face if corner >= 0][::-1] for face in faces().tolist()]
    corners, counts = imath.IntArray(sum(map(len, rows))), imath.IntArray(len(rows))
    for number, corner in enumerate(corner for row in rows for corner in row):
        corners[number] = corner
    for number, row in enumerate(rows):
        counts[number] = len(row)
    for frame in frames:
        sample = AbcGeom.XformSample()
        sample.setTranslation(imath.V3d(0, 3, 0))
        above.getSchema().set(sample)
        points = imath.V3fArray(len(frame))
        np.asarray(points)[:] = frame - np.float32([0, 3, 0])
        mesh.getSchema().set(AbcGeom.OPolyMeshSchemaSample(points, corners, counts))
    return path


@pytest.mark.slow
def test_alembic_comes_back(tmp_path: Path) -> None:
    pytest.importorskip("alembic3d")
    write_sound(tmp_path / "ada_joy.wav")
    path = write_abc(tmp_path / "ada_joy.abc", skin())
    importer, take = opened("alembic", path)
    assert (take.fps, take.num_frames, take.audio_start) == (FPS, len(skin()), 0)
    assert apart_mm(take, skin()) < 1e-3
    assert take.audio == tmp_path / "ada_joy.wav"
    found = importer.geometry().faces
    assert found is not None
    assert sorted(map(sorted, found.tolist())) == sorted(map(sorted, faces().tolist()))
    path.write_bytes(path.read_bytes()[:1000])
    assert "is not a valid Alembic cache" in refused("alembic", path)


def test_what_alembic_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audio2face.extras.missing", lambda extra: ["alembic3d"])
    (tmp_path / "a.abc").write_bytes(b"Ogawa")
    assert "Importing Alembic needs what is not installed here: alembic3d" in refused("alembic", tmp_path / "a.abc")
