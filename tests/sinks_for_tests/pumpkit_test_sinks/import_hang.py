"""t-import-hang: never finishes its import."""

import time

time.sleep(100_000)
