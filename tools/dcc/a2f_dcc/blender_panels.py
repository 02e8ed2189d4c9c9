"""Panels of the sidebar in Blender's 3D view, tab Audio2Face: what the command lines take, as buttons."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy

from a2f_dcc import SceneError
from a2f_dcc.scene import ExportOptions, ImportOptions, Report

_MESHES = ("skin", "tongue", "lower_teeth", "upper_teeth", "right_eye", "left_eye")
_TARGETS = ("skin", "tongue", "right_eye", "left_eye")
_RUNS: dict[str, Callable[..., Any]] = {}


def _is_mesh(_: Any, found: Any) -> bool:
    return bool(found.type == "MESH")


def _is_rig(_: Any, found: Any) -> bool:
    return bool(found.type == "ARMATURE")


class A2F_ExportSettings(bpy.types.PropertyGroup):  # noqa: N801 (Blender's form of names)
    """What the panel asks for."""

    __annotations__ = {
        "actor": bpy.props.StringProperty(name="Actor", description="Name of the actor, such as mary"),
        **{
            part: bpy.props.PointerProperty(type=bpy.types.Object, poll=_is_mesh, name=part.replace("_", " ").title())
            for part in _MESHES
        },
        "rig": bpy.props.PointerProperty(type=bpy.types.Object, poll=_is_rig, name="Armature"),
        "jaw": bpy.props.StringProperty(name="Jaw Bone", description="Moves with the jaw; else the lower teeth tell"),
        "head": bpy.props.StringProperty(name="Head Bone", description="Its motion is taken out"),
        "shots": bpy.props.EnumProperty(
            name="Shots",
            items=[
                ("markers", "Markers", "A shot from each marker to the next, or to one called 'end'"),
                ("scene", "Whole Range", "The scene's range is one shot"),
            ],
        ),
        "neutral": bpy.props.EnumProperty(
            name="Neutral",
            items=[
                ("rest", "Rest Pose", "Bones at rest, no shapes"),
                ("frame", "This Frame", "The frame that is shown now"),
            ],
        ),
        "sound": bpy.props.EnumProperty(
            name="Sound",
            items=[
                ("scene", "Sequencer", "What plays"),
                ("file", "WAV File", "A recording that begins with the scene"),
                ("none", "None", "Recordings are copied to audio/ by hand"),
            ],
        ),
        "sound_file": bpy.props.StringProperty(name="Recording", subtype="FILE_PATH"),
        "out": bpy.props.StringProperty(name="Folder", subtype="DIR_PATH", description="Of the new data set"),
        "add": bpy.props.BoolProperty(name="Add to the Data Set", description="The folder has shots of this actor"),
    }


def export_settings(settings: Any, frame: int) -> ExportOptions:
    """The options that the panel shows.

    Raises:
        SceneError: the actor, the skin or the folder is missing.
    """
    for name, value in (("the actor", settings.actor), ("the skin", settings.skin), ("the folder", settings.out)):
        if not value:
            raise SceneError(f"{name} is not named")
    meshes: dict[str, Any] = {part: found.name if (found := getattr(settings, part)) else None for part in _MESHES}
    bones: dict[str, Any] = {
        bone: f"{settings.rig.name}:{name}" if settings.rig and (name := getattr(settings, bone)) else None
        for bone in ("jaw", "head")
    }
    return ExportOptions(
        actor=settings.actor,
        out=Path(bpy.path.abspath(settings.out)).absolute(),
        shots=(settings.shots,),
        neutral="rest" if settings.neutral == "rest" else str(frame),
        sound=bpy.path.abspath(settings.sound_file) if settings.sound == "file" else settings.sound,
        add=settings.add,
        **meshes,
        **bones,
    )


class A2F_OT_export(bpy.types.Operator):  # noqa: N801
    """Writes the data set"""

    bl_idname = "audio2face.export"
    bl_label = "Export Data Set"

    def execute(self, context: Any) -> set[str]:
        """Exports, and shows warnings or what is wrong."""
        report = Report()
        try:
            options = export_settings(context.scene.audio2face_export, context.scene.frame_current)
            shots = _RUNS["export"](options, report)
        except SceneError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        for text in report.warnings:
            self.report({"WARNING"}, text)
        self.report({"INFO"}, f"{shots} shots are in {options.out}")
        return {"FINISHED"}


class A2F_PT_export(bpy.types.Panel):  # noqa: N801
    """The panel."""

    bl_label = "Export Face Animation"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Audio2Face"

    def draw(self, context: Any) -> None:
        """Lists the settings above the button."""
        settings, layout = context.scene.audio2face_export, self.layout
        layout.use_property_split = True
        layout.prop(settings, "actor")
        for part in (*_MESHES, "rig"):
            layout.prop(settings, part)
        if settings.rig is not None:
            for bone in ("jaw", "head"):
                layout.prop_search(settings, bone, settings.rig.pose, "bones")
        for name in ("shots", "neutral", "sound"):
            layout.prop(settings, name)
        if settings.sound == "file":
            layout.prop(settings, "sound_file")
        render = context.scene.render
        layout.label(text=f"{render.fps / render.fps_base:.6g} frames per second, the scene's rate")
        layout.prop(settings, "out")
        layout.prop(settings, "add")
        layout.operator(A2F_OT_export.bl_idname, icon="EXPORT")


def register(classes: tuple[Any, ...], name: str, settings: Any) -> None:
    """Registers classes, again where they are there, and the settings as `name` of scenes."""
    for cls in classes:
        if cls.is_registered:
            bpy.utils.unregister_class(cls)
        bpy.utils.register_class(cls)
    setattr(bpy.types.Scene, name, bpy.props.PointerProperty(type=settings))


def register_export(run: Callable[[ExportOptions, Report], int]) -> None:
    """Adds the panel of the export."""
    _RUNS["export"] = run
    register((A2F_ExportSettings, A2F_OT_export, A2F_PT_export), "audio2face_export", A2F_ExportSettings)


class A2F_ImportSettings(bpy.types.PropertyGroup):  # noqa: N801
    """What the panel of the way back asks for."""

    __annotations__ = {
        "result": bpy.props.StringProperty(
            name="Animation", subtype="DIR_PATH", description="Folder that stage 4 wrote for a recording"
        ),
        **{
            part: bpy.props.PointerProperty(type=bpy.types.Object, poll=_is_mesh, name=part.replace("_", " ").title())
            for part in _TARGETS
        },
        "motion": bpy.props.EnumProperty(
            name="Motion",
            items=[
                ("auto", "Automatic", "Weights where the face has their shape keys, else a cache"),
                ("weights", "Weights", "Keys on shape keys"),
                ("cache", "Cache", "A Mesh Cache modifier"),
            ],
        ),
        "rig": bpy.props.PointerProperty(type=bpy.types.Object, poll=_is_rig, name="Armature"),
        "jaw": bpy.props.StringProperty(name="Jaw Bone"),
        "start": bpy.props.IntProperty(name="First Frame", default=1),
    }


class A2F_OT_import(bpy.types.Operator):  # noqa: N801
    """Puts the animation onto the face"""

    bl_idname = "audio2face.apply"
    bl_label = "Apply Animation"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012

    def execute(self, context: Any) -> set[str]:
        """Imports, and shows warnings or what is wrong."""
        settings, report = context.scene.audio2face_import, Report()
        meshes: dict[str, Any] = {part: found.name if (found := getattr(settings, part)) else None for part in _TARGETS}
        try:
            if not settings.result or not meshes["skin"]:
                raise SceneError("name the folder of the animation, and the skin")
            folder = Path(bpy.path.abspath(settings.result)).absolute()
            jaw = f"{settings.rig.name}:{settings.jaw}" if settings.rig and settings.jaw else None
            _RUNS["import"](
                ImportOptions(result=folder, motion=settings.motion, start=settings.start, jaw=jaw, **meshes), report
            )
        except SceneError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        for text in report.warnings:
            self.report({"WARNING"}, text)
        return {"FINISHED"}


class A2F_PT_import(bpy.types.Panel):  # noqa: N801
    """The panel of the way back."""

    bl_label = "Apply Animation"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Audio2Face"

    def draw(self, context: Any) -> None:
        """Lists the settings above the button."""
        settings, layout = context.scene.audio2face_import, self.layout
        layout.use_property_split = True
        for name in ("result", *_TARGETS, "rig"):
            layout.prop(settings, name)
        if settings.rig is not None:
            layout.prop_search(settings, "jaw", settings.rig.pose, "bones")
        for name in ("motion", "start"):
            layout.prop(settings, name)
        layout.operator(A2F_OT_import.bl_idname, icon="IMPORT")


def register_import(run: Callable[[ImportOptions, Report], None]) -> None:
    """Adds the panel of the way back."""
    _RUNS["import"] = run
    register((A2F_ImportSettings, A2F_OT_import, A2F_PT_import), "audio2face_import", A2F_ImportSettings)
