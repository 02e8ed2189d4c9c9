"""How the documentation becomes a site: python -m sphinx -W -n docs build/docs"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from audio2face import __version__

project = "Audio2Face-3D Training Framework"
author = "The authors of this implementation"
project_copyright = author
version = release = __version__

extensions = ["myst_parser"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 4  # a link can point to every heading, as it can on pages that show the files themselves
nitpicky = True

html_theme = "furo"
html_title = f"{project} {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
# Code is shown as it is: shells and configurations lose nothing by curly quotes.
smartquotes = False
