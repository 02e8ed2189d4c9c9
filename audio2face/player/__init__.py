"""One self-contained HTML page that shows a face speaking. NumPy only.

`write_page` is all there is to call. What the page itself runs lies in `web/`: JavaScript with types in its comments.
"""

from audio2face.player.page import LABELS, write_page

__all__ = ["LABELS", "write_page"]
