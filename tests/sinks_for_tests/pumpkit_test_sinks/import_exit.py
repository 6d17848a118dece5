"""t-import-exit: a script by mistake."""

import sys

sys.exit("run me as a program")
