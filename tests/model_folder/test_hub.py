"""Publishing deployed folders and fetching them, with a hub that is a folder."""

from __future__ import annotations

import fnmatch
import hashlib
import pickle
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from huggingface_hub import ModelCard
from small_models import DIFFUSION, write_model

from audio2face.errors import UserError
from audio2face.model_folder.card import card_header, read_licence
from audio2face.model_folder.hub import CHECKSUM_FILE, pull, push, read_checksums

REPO = "studio/faces"


class FolderHub:
    """A hub with one repository, which is a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calls: list[str] = []

    def create_repo(self, repo_id: str, *, private: bool, exist_ok: bool) -> None:
        self.calls.append(f"create {repo_id} private={private}")
        self.folder.mkdir(exist_ok=exist_ok)

    def upload_folder(
        self, *, repo_id: str, folder_path: Path, allow_patterns: list[str], commit_message: str
    ) -> SimpleNamespace:
        for path in folder_path.iterdir():
            if any(fnmatch.fnmatch(path.name, pattern) for pattern in allow_patterns):
                shutil.copy(path, self.folder)
        return SimpleNamespace(commit_url=f"https://hub/{repo_id}")

    def model_info(self, repo_id: str, *, revision: str | None) -> SimpleNamespace:
        if repo_id != REPO:
            raise FileNotFoundError("404: no such repository")
        return SimpleNamespace(sha="c0ffee")

    def hf_hub_download(self, repo_id: str, filename: str, *, revision: str, local_dir: Path) -> None:
        assert revision == "c0ffee"
        (local_dir / ".cache").mkdir(exist_ok=True)
        shutil.copy(self.folder / filename, local_dir / filename)


@pytest.fixture
def hub(tmp_path: Path) -> FolderHub:
    return FolderHub(tmp_path / "hub")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    write_model(folder, DIFFUSION)
    (folder / "README.md").write_text(header("cc-by-4.0") + "# A model\n")
    return folder


def header(licence: str | None) -> str:
    return card_header(
        name="first",
        network_type="diffusion",
        actors=["ada", "ben"],
        licence=licence,
        metrics={"lip_error_mm": 1.23456, "lip_correlation": 0.9},
    )


@pytest.mark.parametrize(
    ("licence", "stated"), [("mit", ("mit", None)), ("my-studio", ("other", "my-studio")), (None, ("unknown", None))]
)
def test_hubs_read_the_header(tmp_path: Path, licence: str | None, stated: tuple[str, str | None]) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(header(licence) + "# A model\n\nlicense: mit\n")
    card = ModelCard.load(readme)
    assert (card.data.license, card.data.license_name) == stated
    assert card.data.library_name == "audio2face"
    assert "diffusion" in card.data.tags
    results = {each.metric_type: each.metric_value for each in card.data.eval_results}
    assert results == {"lip_error_mm": 1.235, "lip_correlation": 0.9}
    assert read_licence(readme) == licence


def test_a_published_model_comes_back_whole(model: Path, hub: FolderHub, tmp_path: Path) -> None:
    (model / "network.trt").write_bytes(b"an engine for one GPU")
    (model / "network.onnx.data").write_bytes(b"weights")
    published = push(model, REPO, private=True, api=hub)
    assert (published.licence, published.url) == ("cc-by-4.0", f"https://hub/{REPO}")
    assert hub.calls == [f"create {REPO} private=True"]
    assert not (hub.folder / "network.trt").exists()
    listed = read_checksums(hub.folder / CHECKSUM_FILE)
    assert listed["network.onnx"] == hashlib.sha256(b"graph").hexdigest()
    target = tmp_path / "fetched"
    assert pull(REPO, target, api=hub) == "cc-by-4.0"
    names = {path.name for path in target.iterdir()}
    assert names == {path.name for path in model.iterdir()} - {"network.trt"}
    assert all((target / name).read_bytes() == (model / name).read_bytes() for name in names)
    with pytest.raises(UserError, match="is deployed already"):
        pull(REPO, target, api=hub)


@pytest.mark.parametrize("readme", ["", "# A model\n\nlicense: mit\n", header(None)])
def test_a_model_without_a_licence_is_not_published(model: Path, hub: FolderHub, readme: str) -> None:
    (model / "README.md").write_text(readme)
    with pytest.raises(UserError, match="MODEL_LICENSE"):
        push(model, REPO, api=hub)
    assert not hub.calls


@pytest.mark.parametrize("name", ["weights.pt", "notes.pkl", "run.sh"])
def test_what_may_hold_programs_is_not_published(model: Path, hub: FolderHub, name: str) -> None:
    (model / name).write_bytes(pickle.dumps({}))
    with pytest.raises(UserError, match=f"{name}.*plain data"):
        push(model, REPO, api=hub)
    assert not hub.calls


def test_links_out_of_the_folder_are_not_published(model: Path, hub: FolderHub, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    (model / "notes.txt").symlink_to(tmp_path / "secret.txt")
    with pytest.raises(UserError, match=r"notes\.txt"):
        push(model, REPO, api=hub)


def test_a_faulty_folder_is_not_published(model: Path, hub: FolderHub) -> None:
    (model / "model.json").write_text("{}")
    with pytest.raises(UserError, match="has faults"):
        push(model, REPO, api=hub)


def test_changed_files_are_refused(model: Path, hub: FolderHub, tmp_path: Path) -> None:
    push(model, REPO, api=hub)
    (hub.folder / "network.onnx").write_bytes(b"another graph")
    with pytest.raises(UserError, match=r"network\.onnx has another SHA-256"):
        pull(REPO, tmp_path / "fetched", api=hub)
    assert not (tmp_path / "fetched").exists()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{digest}  ../escape.json", "line 1 is no checksum"),
        ("{digest}  /etc/passwd.txt", "line 1 is no checksum"),
        ("{digest}  .hidden.json", "line 1 is no checksum"),
        ("short  model.json", "line 1 is no checksum"),
        ("{digest}  weights.pkl", "weights.pkl, which is not fetched"),
        ("", "the file is empty"),
    ],
)
def test_hostile_checksums(hub: FolderHub, tmp_path: Path, line: str, message: str) -> None:
    hub.folder.mkdir()
    (hub.folder / CHECKSUM_FILE).write_text(line.format(digest="0" * 64))
    with pytest.raises(UserError, match=message):
        pull(REPO, tmp_path / "fetched", api=hub)
    assert not (tmp_path / "fetched").exists()


def test_errors_of_the_hub_are_one_message(hub: FolderHub, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the hub did not serve 'no/such': 404"):
        pull("no/such", tmp_path / "fetched", api=hub)
