"""Real servers for tests, each in a folder of its own and on a free port of the loopback interface."""
