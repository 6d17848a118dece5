"""t-no-new: a module that is no plugin."""
