"""How the documentation is built: `make docs`. Nothing here needs the network; every warning is an error."""

import sys
from pathlib import Path

import pumpkit

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "pumpkit"
author = "The pumpkit developers"
copyright = "2026, The pumpkit developers"
version = release = pumpkit.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "made_from_code"]
exclude_patterns = ["examples"]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

# Docstrings are plain English with `code`; types are said once, in the signature.
default_role = "code"
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}

# Names of this project must resolve; the standard library's pages are on a network that a build does not ask.
nitpick_ignore_regex = [("py:.*", r"(?!pumpkit\b).*")]
# Type variables and structural types in signatures, and new types, which are documented under their public names.
nitpick_ignore = [
    ("py:class", f"pumpkit.{name}")
    for name in (
        "config.meta.T",
        "config.types.ByteSize",
        "config.types.Seconds",
        "contrib.authz.T",
        "contrib.web.Options",
        "reporter.settings.Log",
        "reporter.settings.Options",
    )
]

html_theme = "furo"
html_title = f"pumpkit {release}"
html_static_path = ["_static"]
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}
