"""The server driven by NVIDIA's own, unchanged stubs, on demand: it makes an environment of their own, from the package
index (their pin on grpcio is old), and is therefore no part of the suite.

    .venv/bin/python -m pytest tests/serve/check_nvidia_stubs.py -rP
"""

from __future__ import annotations

import subprocess
import sys
import wave
from collections.abc import Callable
from pathlib import Path

import pytest
from running import running

from audio2face.serve.calls import Pace
from audio2face.serve.faces import Face

PACKAGES = ("nvidia-audio2face-3d==1.3.0", "nvidia-ace==1.0.0", "nvidia-audio2face-3d-authoring==0.2.0")
CLIENT = """
import sys, wave
import grpc
from nvidia_ace.audio_pb2 import AudioHeader
from nvidia_audio2face_3d import a2x_export_config_pb2 as configs, a2x_export_config_pb2_grpc, audio2face_pb2_grpc
from nvidia_audio2face_3d import messages_pb2 as messages
from nvidia_audio2face_3d_authoring import audio2face_3d_authoring_pb2_grpc, messages_pb2 as authoring

address, path = sys.argv[1:]
with wave.open(path) as sound:
    rate, data = sound.getframerate(), sound.readframes(sound.getnframes())
audio = AudioHeader(audio_format=0, channel_count=1, samples_per_second=rate, bits_per_sample=16)
joy = messages.EmotionWithTimeCode(time_code=0.0, emotion={"joy": 1.0})

def requests():
    post = messages.EmotionPostProcessingParameters(emotion_strength=0.5, max_emotions=3)
    header = messages.AudioWithEmotionStreamHeader(
        audio_header=audio,
        face_params=messages.FaceParameters(float_params={"lowerFaceStrength": 1.2}),
        blendshape_params=messages.BlendShapeParameters(bs_weight_multipliers={"JawOpen": 1.5}),
        emotion_post_processing_params=post,
    )
    yield messages.AudioWithEmotionStream(audio_stream_header=header)
    for second in range(len(data) // (2 * rate) + 1):
        piece = data[2 * rate * second : 2 * rate * (second + 1)]
        speech = messages.AudioWithEmotion(audio_buffer=piece, emotions=[joy] if second == 0 else [])
        yield messages.AudioWithEmotionStream(audio_with_emotion=speech)
    yield messages.AudioWithEmotionStream(end_of_audio=messages.AudioWithEmotionStream.EndOfAudio())

with grpc.insecure_channel(address) as channel:
    parts, frames, echo, said = [], [], b"", []
    for answer in audio2face_pb2_grpc.A2FControllerServiceStub(channel).ProcessAudioStream(requests()):
        parts.append(answer.WhichOneof("stream_part"))
        if parts[-1] == "animation_data":
            frame = answer.animation_data
            frames.append(frame.skel_animation.blend_shape_weights[0])
            echo += frame.audio.audio_buffer
            aggregate = messages.EmotionAggregate.FromString(frame.metadata["emotion_aggregate"].value)
            assert not aggregate.a2e_output
            assert aggregate.a2f_smoothed_output[0].emotion["joy"] == 0.5
        elif parts[-1] == "status":
            said.append((answer.status.code, answer.status.message))
        elif parts[-1] == "animation_data_stream_header":
            names = answer.animation_data_stream_header.skel_animation_header.blend_shapes
    assert parts[0] == "animation_data_stream_header" and parts[-2:] == ["event", "status"], parts
    assert said[-1][0] == 0 and said[0][0] == 1, said
    assert echo == data and len(frames[0].values) == len(names) == 68
    assert [round(frame.time_code * 30) for frame in frames] == list(range(len(frames)))
    clips = audio2face_3d_authoring_pb2_grpc.A2FAuthoringServiceStub(channel)
    handle = clips.UploadAudioClip(authoring.AudioClip(audio_header=audio, content=data))
    pose = clips.GetAvatarFacePose(authoring.FacePoseRequest(audio_hash=handle.audio_clip_id, time_stamp=0.5))
    assert len(pose.blendshapes) == len(handle.blendshape_names) == 68
    exported = a2x_export_config_pb2_grpc.A2XExportConfigServiceStub(channel).GetConfigs(configs.ConfigsTypeRequest())
    print(len(frames), "frames,", len(list(exported)), "configurations,", grpc.__version__)
"""


def test_the_stubs_of_the_package_index(faces: dict[str, Face], speech: Callable[..., bytes], tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "env"], check=True)
    python = tmp_path / "env/bin/python"
    install = [python, "-m", "pip", "install", "--quiet"]
    subprocess.run([*install, "--no-deps", *PACKAGES], check=True)
    subprocess.run([*install, "grpcio", "protobuf"], check=True)
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(speech(2.0))
    (tmp_path / "client.py").write_text(CLIENT)
    with running(faces, pace=Pace(None)) as server:
        command = [python, tmp_path / "client.py", server.address, tmp_path / "a.wav"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    print(done.stdout)
    if done.returncode:
        pytest.fail(done.stderr)
    assert done.stdout.startswith("60 frames, 2 configurations")
