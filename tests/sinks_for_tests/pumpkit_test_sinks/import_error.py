"""t-import-error: needs what is not installed."""

import a_driver_that_nobody_has  # type: ignore[import-not-found]  # noqa: F401
