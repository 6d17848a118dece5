"""`python -m authz_service [CONFIG]`: run the service in one process."""

import argparse
import sys
from pathlib import Path

import uvicorn
from pumpkit import ConfigError

from authz_service import settings
from authz_service.app import make


def main() -> int:
    """Run the service until it is told to end. Return 78 if the configuration is wrong."""
    parser = argparse.ArgumentParser("authz_service", description="A small authorization service.")
    parser.add_argument("config", nargs="?", default="authz.yaml", type=Path, help="default: authz.yaml")
    arguments = parser.parse_args()
    try:
        config = settings.load(arguments.config)
        app = make(config)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 78
    uvicorn.run(app, host=config.insecure.bind_address, port=config.insecure.bind_port, access_log=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
