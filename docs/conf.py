"""Sphinx, with MyST for the prose and furo for the looks."""

import re
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent / "_ext"), str(Path(__file__).parents[1])]

project = "tierkit"
author = "the tierkit developers"
copyright = "the tierkit developers"
version_file = Path(__file__).parent.parent / "tierkit" / "_version.py"
release = re.search(r'__version__ = "(.+?)"', version_file.read_text()).group(1)
version = release

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "tierkit_conformance",
    "tierkit_options",
    "tierkit_rules",
    "tierkit_stand_in",
    "tierkit_statistics",
]
myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "tierkit"
default_role = "code"
# Several classes have a field called `bytes`; none of them is what a signature means.
suppress_warnings = ["ref.python"]

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_preserve_defaults = True
# `#:` comments document attributes in this project; inherited docstrings would repeat themselves.
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_inherit_docstrings = False
