"""Environment: servers that restart, forks, threads, and what a probe may do."""
