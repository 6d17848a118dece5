"""The authorization server of these benchmarks behind real frameworks, as gunicorn and uvicorn load it."""
