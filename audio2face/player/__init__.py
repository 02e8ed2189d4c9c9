"""One self-contained HTML page that plays an animation; `write_page` writes it.

`web/` holds the program of the page: JavaScript modules with types in JSDoc comments.
"""

from audio2face.player.page import LABELS, write_page

__all__ = ["LABELS", "write_page"]
