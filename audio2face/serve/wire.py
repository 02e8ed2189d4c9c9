"""The messages of the service, made in code: the wire format of NVIDIA's Audio2Face-3D service, without its stubs.

`SCHEMA` is the whole table. Names and numbers are those of NVIDIA's published interface (Apache-2.0); a client finds a
message by the numbers alone, so that stubs of any edition drive this server. The descriptors live in a pool of their
own: a process may load NVIDIA's stubs beside them.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from audio2face.errors import UserError
from audio2face.types import Float32Array

if TYPE_CHECKING:
    from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto
    from google.protobuf.message import Message

CONTROLLER = "nvidia_ace.services.a2f_controller.v1.A2FControllerService"
CONFIGS = "nvidia_ace.services.a2x_export_config.v1.A2XExportConfigService"
AUTHORING = "nvidia_ace.services.a2f_authoring.v1.A2FAuthoringService"
VERSION = "nvidia_ace.services.version.v1.VersionInformationService"
HEALTH = "grpc.health.v1.Health"

SUCCESS, INFO, WARNING, ERROR = range(4)  # codes of nvidia_ace.status.v1.Status
NOT_SERVING, SERVING, SERVICE_UNKNOWN = 2, 1, 3  # of grpc.health.v1.HealthCheckResponse
JSON_CONFIGS = 1
# What the sample client and Maya look for; other stubs read the same bytes.
EMOTION_AGGREGATE = "type.googleapis.com/nvidia_ace.emotion_aggregate.v1.EmotionAggregate"

# Fields: number, type, name. `map` has keys of strings; `?` marks a field whose absence is told from 0; `|` a field of
# the message's one-of. Enumerations travel as int32, which has the same bytes.
SCHEMA: Mapping[str, str] = {
    "audio.AudioHeader": "1 int32 audio_format, 2 uint32 channel_count, 3 uint32 samples_per_second, "
    "4 uint32 bits_per_sample",
    "a2f.FloatArray": "1 float* values",
    "a2f.FaceParameters": "1 map:float float_params, 2 map:int32 integer_params, 3 map:a2f.FloatArray "
    "float_array_params",
    "a2f.BlendShapeParameters": "1 map:float bs_weight_multipliers, 2 map:float bs_weight_offsets, "
    "3 bool? enable_clamping_bs_weight",
    "a2f.EmotionParameters": "1 float? live_transition_time, 2 map:float beginning_emotion",
    "a2f.EmotionPostProcessingParameters": "1 float? emotion_contrast, 2 float? live_blend_coef, "
    "3 bool? enable_preferred_emotion, 4 float? preferred_emotion_strength, 5 float? emotion_strength, "
    "6 int32? max_emotions",
    "emotion.EmotionWithTimeCode": "1 double time_code, 2 map:float emotion",
    "emotion.EmotionAggregate": "1 emotion.EmotionWithTimeCode* input_emotions, "
    "2 emotion.EmotionWithTimeCode* a2e_output, 3 emotion.EmotionWithTimeCode* a2f_smoothed_output",
    "a2f.AudioWithEmotion": "1 bytes audio_buffer, 2 emotion.EmotionWithTimeCode* emotions",
    "controller.AudioStreamHeader": "1 audio.AudioHeader audio_header, 2 a2f.FaceParameters face_params, "
    "3 a2f.EmotionPostProcessingParameters emotion_post_processing_params, "
    "4 a2f.BlendShapeParameters blendshape_params, 5 a2f.EmotionParameters emotion_params",
    "controller.EndOfAudio": "",
    "controller.AudioStream": "1 controller.AudioStreamHeader| audio_stream_header, "
    "2 a2f.AudioWithEmotion| audio_with_emotion, 3 controller.EndOfAudio| end_of_audio",
    "animation.SkelAnimationHeader": "1 string* blend_shapes, 2 string* joints",
    "animation.FloatArrayWithTimeCode": "1 double time_code, 2 float* values",
    "animation.SkelAnimation": "1 animation.FloatArrayWithTimeCode* blend_shape_weights",
    "animation.AudioWithTimeCode": "1 double time_code, 2 bytes audio_buffer",
    "animation.Any": "1 string type_url, 2 bytes value",  # the bytes of google.protobuf.Any
    "animation.AnimationData": "1 animation.SkelAnimation skel_animation, 2 animation.AudioWithTimeCode audio, "
    "4 map:animation.Any metadata",
    "controller.AnimationDataStreamHeader": "1 audio.AudioHeader audio_header, "
    "2 animation.SkelAnimationHeader skel_animation_header, 3 double start_time_code_since_epoch",
    "controller.Event": "1 int32 event_type",
    "status.Status": "1 int32 code, 2 string message",
    "controller.AnimationDataStream": "1 controller.AnimationDataStreamHeader| animation_data_stream_header, "
    "2 animation.AnimationData| animation_data, 3 controller.Event| event, 4 status.Status| status",
    "configs.ConfigsTypeRequest": "1 int32 config_type",
    "configs.A2XConfig": "1 string name, 2 string content",
    "authoring.AudioClip": "1 audio.AudioHeader audio_header, 2 bytes content",
    "authoring.AudioClipHandle": "1 string audio_clip_id, 2 string* blendshape_names",
    "authoring.FacePoseRequest": "1 string audio_hash, 2 map:float preferred_emotions, 3 float time_stamp, "
    "4 a2f.FaceParameters face_params, 5 a2f.EmotionPostProcessingParameters emotion_pp_params, "
    "6 a2f.BlendShapeParameters blendshape_params",
    "authoring.BlendShapeData": "1 float* blendshapes, 2 float time_code, 3 map:float emotions",
    "version.VersionInformation": "1 string version",
    "health.HealthCheckRequest": "1 string service",
    "health.HealthCheckResponse": "1 int32 status",
}
_PACKAGE = "audio2face.wire"
_TYPES = {"double": 1, "float": 2, "int32": 5, "bool": 8, "string": 9, "bytes": 12, "uint32": 13}  # of protobuf
_MESSAGE_TYPE = 11


@cache
def message_classes() -> Mapping[str, type[Message]]:
    """The class of each message of `SCHEMA`."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="audio2face/wire.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in SCHEMA.items():
        _add_message(file, name, fields)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{_plain(name)}"))
        for name in SCHEMA
    }


def new(name: str, /, **values: Any) -> Any:
    """A message of `SCHEMA`, with some of its fields."""
    return message_classes()[name](**values)


def parse(name: str, data: bytes) -> Any:
    """Reads a message.

    Raises:
        UserError: the bytes are no such message.
    """
    from google.protobuf.message import DecodeError

    message = message_classes()[name]()
    try:
        message.ParseFromString(data)
    except DecodeError as error:
        raise UserError(f"the message is no {name.rpartition('.')[2]}: it cannot be decoded") from error
    return message


# Frames are written thirty times a second for each stream: their bytes are put together here, as protobuf would.


def frame(seconds: float, weights: Float32Array, sound: bytes, emotions: bytes) -> bytes:
    """A `controller.AnimationDataStream` with one frame.

    Args:
        seconds: its time.
        weights: `[names]`.
        sound: its part of the sound.
        emotions: an `emotion.EmotionAggregate`.
    """
    time = _double(1, seconds)
    skin = _block(1, _block(1, time + _block(2, weights.astype("<f4", copy=False).tobytes())))
    audio = _block(2, time + (_block(2, sound) if sound else b""))
    entry = _EMOTION_KEY + _block(2, _EMOTION_TYPE + _block(2, emotions))
    return _block(2, skin + audio + _block(4, entry))


def emotion_map(names: Sequence[str], strengths: Sequence[float]) -> bytes:
    """The field `emotion` of an `emotion.EmotionWithTimeCode`."""
    entries = zip(names, strengths, strict=True)
    return b"".join(_block(2, _block(1, name.encode()) + struct.pack("<Bf", 0x15, value)) for name, value in entries)


def emotion_aggregate(seconds: float, requested: bytes, shown: bytes) -> bytes:
    """An `emotion.EmotionAggregate` of two `emotion_map`s, without `a2e_output`, with which the sample client ends."""
    time = _double(1, seconds)
    return _block(1, time + requested) + _block(3, time + shown)


def _block(number: int, data: bytes) -> bytes:
    """A field with a length."""
    length = len(data)
    if length < 0x80:
        return bytes((number << 3 | 2, length)) + data
    head = bytearray((number << 3 | 2,))
    while length >= 0x80:
        head.append(length & 0x7F | 0x80)
        length >>= 7
    head.append(length)
    return bytes(head) + data


def _double(number: int, value: float) -> bytes:
    return struct.pack("<Bd", number << 3 | 1, value) if value else b""


_EMOTION_KEY, _EMOTION_TYPE = _block(1, b"emotion_aggregate"), _block(1, EMOTION_AGGREGATE.encode())


def _plain(name: str) -> str:
    return name.replace(".", "_")


def _add_message(file: FileDescriptorProto, name: str, fields: str) -> None:
    message = file.message_type.add(name=_plain(name))
    for field in filter(None, fields.split(", ")):
        number, kind, field_name = field.split(" ")
        _add_field(message, int(number), kind, field_name)
    # Protobuf wants the one-ofs of optional fields, which are no one-ofs to the reader, after the others.
    for entry in message.field:
        if entry.proto3_optional:
            entry.oneof_index = len(message.oneof_decl)
            message.oneof_decl.add(name=f"_{entry.name}")


def _add_field(message: DescriptorProto, number: int, kind: str, name: str) -> None:
    is_list = kind.endswith("*") or kind.startswith("map:")
    field = message.field.add(name=name, number=number, label=3 if is_list else 1)
    if kind.startswith("map:"):
        entry = message.nested_type.add(name="".join(part.capitalize() for part in name.split("_")) + "Entry")
        entry.options.map_entry = True
        _add_field(entry, 1, "string", "key")
        _add_field(entry, 2, kind.removeprefix("map:"), "value")
        field.type, field.type_name = _MESSAGE_TYPE, f".{_PACKAGE}.{message.name}.{entry.name}"
        return
    base = kind.rstrip("*?|")
    if base in _TYPES:
        field.type = _TYPES[base]
    else:
        field.type, field.type_name = _MESSAGE_TYPE, f".{_PACKAGE}.{_plain(base)}"
    if kind.endswith("?"):
        field.proto3_optional = True
    if kind.endswith("|"):
        if not message.oneof_decl:
            message.oneof_decl.add(name="part")
        field.oneof_index = 0
