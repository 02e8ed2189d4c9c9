"""What the scripts for Blender and Maya share: standard library and NumPy only, so that it runs inside both programs.

`export_scene` and its modules turn an open scene into a raw data set (docs/preparing_data.md describes the layout);
`results` reads what stage 4 wrote, for the way back. A program is reached through `scene.FaceScene`.
"""

from __future__ import annotations


class SceneError(Exception):
    """A mistake of the user: what is wrong in the scene or the options, and what to do.

    Args:
        problem: what is wrong, with the names and frames concerned.
        hint: how to fix it.
    """

    def __init__(self, problem: str, hint: str = "") -> None:
        self.problem, self.hint = problem, hint
        super().__init__(f"{problem}\n  {hint}" if hint else problem)
